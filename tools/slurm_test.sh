#!/usr/bin/env bash
# Evaluate on a Slurm cluster, on GPUs: one for each process.
#
#   tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options]
#
# The environment variables are those of tools/slurm_train.sh.
set -euo pipefail
[ $# -ge 4 ] || {
    echo "usage: $0 PARTITION JOB_NAME CONFIG CHECKPOINT [options]" >&2
    exit 2
}

here=$(cd "$(dirname "$0")" && pwd)
partition=$1
job_name=$2
config=$3
checkpoint=$4
shift 4
gpus_per_node=${GPUS_PER_NODE:-8}
read -r -a srun_args <<<"${SRUN_ARGS:-}"

exec env PYTHONPATH="$here/..:${PYTHONPATH:-}" \
    srun -p "$partition" \
    --job-name="$job_name" \
    --gres="gpu:$gpus_per_node" \
    --ntasks="${GPUS:-8}" \
    --ntasks-per-node="$gpus_per_node" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${srun_args[@]+"${srun_args[@]}"} \
    "${PYTHON:-python}" -u "$here/test.py" "$config" "$checkpoint" \
    --launcher=slurm "$@"
