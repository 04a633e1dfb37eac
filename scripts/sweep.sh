#!/usr/bin/env bash
# Train every cell of a grid, one after the other, each resumable on its own.
#   scripts/sweep.sh "glorot_uniform he_normal orthogonal" "adam sgd" model=all_cnn_c dataset=cifar10
set -euo pipefail
initializers="${1:?usage: $0 \"INITIALIZERS\" \"OPTIMIZERS\" [overrides …]}"
optimizers="${2:?usage: $0 \"INITIALIZERS\" \"OPTIMIZERS\" [overrides …]}"
shift 2
exec cnnlab train -m initializer="${initializers// /,}" optimizer="${optimizers// /,}" "$@"
