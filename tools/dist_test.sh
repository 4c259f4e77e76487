#!/usr/bin/env bash
# Evaluate on several processes of one or more machines.
#
#   tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]
#
# The environment variables are those of tools/dist_train.sh.
set -euo pipefail
[ $# -ge 3 ] || {
    echo "usage: $0 CONFIG CHECKPOINT GPUS [options]" >&2
    exit 2
}

here=$(cd "$(dirname "$0")" && pwd)
config=$1
checkpoint=$2
gpus=$3
shift 3
case $gpus in
    '' | *[!0-9]* | 0*)
        echo "error: GPUS is the number of processes on this machine, 1 or" \
            "more, got '$gpus'" >&2
        exit 2
        ;;
esac

exec env PYTHONPATH="$here/..:${PYTHONPATH:-}" \
    "${PYTHON:-python}" "$here/run_processes.py" \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$gpus" \
    "$here/test.py" "$config" "$checkpoint" --launcher pytorch "$@"
