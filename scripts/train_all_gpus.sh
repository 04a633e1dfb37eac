#!/usr/bin/env bash
# Train one model on all GPUs of this host; the batch is shared among them.
#   scripts/train_all_gpus.sh model=all_cnn_c dataset=cifar10 trainer.batch_size=512
set -euo pipefail
exec cnnlab train trainer.strategy=mirrored "$@"
