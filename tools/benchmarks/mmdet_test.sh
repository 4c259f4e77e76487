#!/usr/bin/env bash
# Evaluate a trained detector, in a folder of its own.
#
#   tools/benchmarks/mmdet_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]
#
# Log and metrics.json go to test-<checkpoint>-<hash of the file> beside the
# checkpoint. The environment variables are those of mmdet_train.sh.
set -euo pipefail
[ $# -ge 3 ] || {
    echo "usage: $0 CONFIG CHECKPOINT GPUS [options]" >&2
    exit 2
}

tools=$(cd "$(dirname "$0")/.." && pwd)
config=$1
checkpoint=$2
gpus=$3
shift 3
[ -f "$checkpoint" ] || { echo "$0: no checkpoint at $checkpoint" >&2; exit 1; }
hash=$(sha256sum <"$checkpoint" | cut -c1-8)
source_name=$(basename "${checkpoint%.*}")
work_dir=$(dirname "$checkpoint")/test-$source_name-$hash
results=(--work-dir "$work_dir" --out "$work_dir/metrics.json" --overwrite)

case ${LAUNCHER:-pytorch} in
pytorch)
    exec "$tools/dist_test.sh" "$config" "$checkpoint" "$gpus" \
        "${results[@]}" "$@"
    ;;
slurm)
    export GPUS=$gpus
    export GPUS_PER_NODE=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
    exec "$tools/slurm_test.sh" \
        "${PARTITION:?set PARTITION for LAUNCHER=slurm}" \
        "${JOB_NAME:-$(basename "${config%.py}")}" "$config" "$checkpoint" \
        "${results[@]}" "$@"
    ;;
*)
    echo "$0: LAUNCHER is pytorch or slurm, not $LAUNCHER" >&2
    exit 2
    ;;
esac
