#!/usr/bin/env bash
# Train a grid overnight, in the background, with a log; started again it trains what is missing.
#   scripts/sweep.sh sweep.name=starts initializer=lsuv,he_normal,glorot_uniform optimizer=sgd,adam seed=0,1,2
#   scripts/sweep.sh experiment=sweep_initializers
set -euo pipefail
: "${1:?usage: $0 KEY=A,B … [overrides …]}"
mkdir -p outputs
log="outputs/sweep-$(date +%Y%m%d-%H%M%S)-$$.log" # of several that begin in the same second, each its own
nohup cnnlab train -m "$@" >"$log" 2>&1 &
echo "process $! runs the sweep; follow it with: tail -f $log"
