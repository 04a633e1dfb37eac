#!/usr/bin/env bash
# Train one model on several SLURM nodes, one process per node.
#   sbatch --nodes=2 scripts/slurm_multi_host.sh hydra.run.dir=/shared/run1 model=all_cnn_c dataset=cifar10
#SBATCH --ntasks-per-node=1
#SBATCH --signal=TERM@120
set -euo pipefail
port=$((20000 + SLURM_JOB_ID % 20000))
HOSTS="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed "s/\$/:$port/" | paste -sd,)"
export HOSTS
srun bash -c 'INDEX=$SLURM_PROCID exec scripts/train_multi_host.sh "$@"' train "$@"
