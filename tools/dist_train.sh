#!/usr/bin/env bash
# Train on several processes of one or more machines.
#
#   tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
#
# On several machines run it on each of them, with the same MASTER_ADDR and
# PORT, NNODES the number of machines and NODE_RANK from 0 to NNODES - 1, and a
# work dir that all of them see (docs/running.md, also on network interfaces).
#
# MAX_RESTARTS (0): how often the processes are started again when one of them
# dies; they go on from the newest checkpoint. The same on all machines; each
# restart takes the port 100 further on.
# At SIGTERM, SIGUSR1, SIGUSR2 (all passed on as SIGTERM) or Ctrl-C training
# saves if it has begun, and this script exits with 75: the same command with
# --resume goes on (docs/running.md). A second Ctrl-C ends everything at once.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: $0 CONFIG GPUS [options]" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
config=$1
gpus=$2
shift 2
case $gpus in
    '' | *[!0-9]* | 0*)
        echo "error: GPUS is the number of processes on this machine, 1 or" \
            "more, got '$gpus'" >&2
        exit 2
        ;;
esac

SCE_MM_STOPPED_FILE=$(mktemp -u)
export SCE_MM_STOPPED_FILE

env PYTHONPATH="$here/..:${PYTHONPATH:-}" \
    "${PYTHON:-python}" "$here/run_processes.py" \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$gpus" \
    --max-restarts="${MAX_RESTARTS:-0}" \
    "$here/train.py" "$config" --launcher pytorch "$@" &
child=$!
told=
interrupted=
stop() {
    told=yes
    kill -TERM "$child" 2>/dev/null || true
}
interrupt() {
    if [ -n "$interrupted" ]; then
        # A second Ctrl-C: the processes first, or torchrun could not be told.
        pkill -KILL -P "$child" || true
        kill -KILL "$child" 2>/dev/null || true
    fi
    interrupted=yes
    stop
}
trap stop TERM USR1 USR2
trap interrupt INT
status=0
wait "$child" || status=$?
# A signal ends the waiting, not the training.
while kill -0 "$child" 2>/dev/null; do
    status=0
    wait "$child" || status=$?
done
# torchrun answers a signal with 1, whatever its processes said.
if [ -e "$SCE_MM_STOPPED_FILE" ]; then
    rm -f "$SCE_MM_STOPPED_FILE"
    status=75
elif [ -n "$told" ] && [ "$status" -ne 0 ]; then
    echo "$0: stopped without saving; --resume goes on with the newest" \
        "checkpoint, if there is one" >&2
    status=75
fi
exit "$status"
