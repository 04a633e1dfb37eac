#!/usr/bin/env bash
# Train on one GPU of a shared server, in the background, with a log file.
#   scripts/train_one_gpu.sh 2 model=all_cnn_c dataset=cifar10 augmentation=shift_flip
set -euo pipefail
gpu="${1:?usage: $0 GPU [cnnlab train overrides …]}"
shift
mkdir -p outputs
log="outputs/train-gpu${gpu}-$(date +%Y%m%d-%H%M%S)-$$.log" # of several that begin in the same second, each its own
CUDA_VISIBLE_DEVICES="$gpu" nohup cnnlab train trainer.strategy=one_device "$@" >"$log" 2>&1 &
echo "process $! trains on GPU $gpu; follow it with: tail -f $log"
