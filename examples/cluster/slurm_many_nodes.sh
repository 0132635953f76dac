#!/bin/bash
# Four nodes with 8 GPUs each under SLURM:
#   sbatch examples/cluster/slurm_many_nodes.sh my.yaml
# One launcher runs on each node. `output_dir` must be a folder that all nodes see.
#SBATCH --job-name=sensia
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --time=12:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --output=sensia-%j.log
set -euo pipefail

config=${1:?the settings: sbatch slurm_many_nodes.sh my.yaml}
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
gpus=${SLURM_GPUS_ON_NODE:-8}

# A node that comes back reads the address of the others anew.
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
# SLURM_NODEID is known in each task only, so the command is put together there.
srun bash -c "accelerate launch --quiet --config_file sensia/accelerate/multi_node.yaml \
    --num_machines $SLURM_NNODES --num_processes $((SLURM_NNODES * gpus)) --machine_rank \$SLURM_NODEID \
    --rdzv_backend c10d --max_restarts 3 --main_process_ip ${nodes[0]} --main_process_port 29500 \
    examples/adapt.py --config '$config'"
