#!/bin/bash
# Workers in a Slurm cluster, one agent for each task of the array:
#
#   export PYDOREDIS_URL=redis://10.0.0.1:6379/0 PYDOREDIS_PASSWORD=... PYDOREDIS_QUEUE=RJOBS
#   sbatch --array=1-10 --time=08:00:00 deploy/slurm/worker.sh
#
#SBATCH --job-name=pydoredis
#SBATCH --cpus-per-task=8
#SBATCH --export=ALL
# SIGTERM to this script, which is the agent by then, two minutes before the end: running tasks finish or go back.
#SBATCH --signal=B:TERM@120
# A node that is taken away or drained gives its tasks back, and this starts again elsewhere.
#SBATCH --requeue

set -eu

export PYDOREDIS_WORKERS="${SLURM_CPUS_PER_TASK:-1}"
# Less than the time that --signal leaves.
export PYDOREDIS_GRACE="${PYDOREDIS_GRACE:-90}"

# In this process, so that the signal reaches the agent. Another Python: PYDOREDIS=/path/to/bin/pydoredis.
exec "${PYDOREDIS:-pydoredis}" worker
