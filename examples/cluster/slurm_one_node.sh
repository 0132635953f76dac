#!/bin/bash
# One node with 8 GPUs under SLURM:
#   sbatch examples/cluster/slurm_one_node.sh my.yaml
# A job that is preempted, or whose node fails, goes back into the queue and goes on from its last checkpoint. At the time
# limit it is sent SIGTERM and ends with one line; submit it again to go on.
#SBATCH --job-name=sensia
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --time=12:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --output=sensia-%j.log
set -euo pipefail

config=${1:?the settings: sbatch slurm_one_node.sh my.yaml}
export HF_HUB_OFFLINE=${HF_HUB_OFFLINE:-0} # 1 where compute nodes have no network: download model and data before

srun sensia adapt --config "$config" --accelerate_config ddp --num_processes "${SLURM_GPUS_ON_NODE:-8}"
