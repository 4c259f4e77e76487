#!/usr/bin/env bash
# Train on a Slurm cluster, on GPUs: one for each process.
#
#   tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options]
#
# Environment: GPUS (of the job, 8), GPUS_PER_NODE (8), CPUS_PER_TASK (5),
# SRUN_ARGS (further options of srun, split at spaces), RESUBMITS (0: how often
# to go on when the cluster stops the job and training exits with 75; in a batch
# job by scontrol requeue, which runs the batch script again: give it --resume).
set -euo pipefail
[ $# -ge 4 ] || {
    echo "usage: $0 PARTITION JOB_NAME CONFIG WORK_DIR [options]" >&2
    exit 2
}

here=$(cd "$(dirname "$0")" && pwd)
partition=$1
job_name=$2
config=$3
work_dir=$4
shift 4
gpus_per_node=${GPUS_PER_NODE:-8}
read -r -a srun_args <<<"${SRUN_ARGS:-}"

# Srun kills the other tasks when the first one exits with 75 and may answer
# with their code, so training leaves a file as well.
SCE_MM_STOPPED_FILE="$work_dir/.stopped_$$"
export SCE_MM_STOPPED_FILE

# Sets the status.
run() {
    status=0
    srun_train "$@" || status=$?
    if [ -e "$SCE_MM_STOPPED_FILE" ]; then
        rm -f "$SCE_MM_STOPPED_FILE"
        status=75
    fi
}

srun_train() {
    env PYTHONPATH="$here/..:${PYTHONPATH:-}" \
        srun -p "$partition" \
        --job-name="$job_name" \
        --gres="gpu:$gpus_per_node" \
        --ntasks="${GPUS:-8}" \
        --ntasks-per-node="$gpus_per_node" \
        --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 \
        ${srun_args[@]+"${srun_args[@]}"} \
        "${PYTHON:-python}" -u "$here/train.py" "$config" \
        --work-dir="$work_dir" --launcher=slurm "$@"
}

left=${RESUBMITS:-0}
# Who presses Ctrl-C does not want the job again.
trap 'left=0' INT
run "$@"
if [ "$status" -eq 75 ] && [ "$left" -gt 0 ] && [ -n "${SLURM_JOB_ID:-}" ]; then
    [ "${SLURM_RESTART_COUNT:-0}" -ge "$left" ] ||
        scontrol requeue "$SLURM_JOB_ID"
    exit 75
fi
while [ "$status" -eq 75 ] && [ "$left" -gt 0 ]; do
    left=$((left - 1))
    run "$@" --resume
done
exit "$status"
