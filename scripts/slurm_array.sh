#!/usr/bin/env bash
# Train one model with many seeds, as a SLURM array: the seed is the number of the task. Submitted again, every task
# resumes its run. Grids of more than seeds: cnnlab train -m hydra/launcher=submitit_slurm (pip install 'cnnlab[slurm]').
#   NAME=seeds sbatch --array=0-4 --gres=gpu:1 scripts/slurm_array.sh model=all_cnn_c dataset=cifar10
#SBATCH --signal=B:TERM@120
set -euo pipefail
run="$PWD/outputs/sweeps/${NAME:?NAME of the sweep is not set}/seed=${SLURM_ARRAY_TASK_ID:?submit it with sbatch --array=0-4}"
if [ -e "$run/run.json" ]; then
    [ $# -eq 0 ] || echo "$run: resumed as it began; $* does not count" >&2
    exec cnnlab train resume="$run"
fi
exec cnnlab train seed="$SLURM_ARRAY_TASK_ID" hydra.run.dir="$run" "$@"
