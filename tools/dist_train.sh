#!/usr/bin/env bash
# Train on several processes of one or more machines.
#
#   tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
#
# On several machines run it on each of them, with the same MASTER_ADDR and
# PORT, NNODES the number of machines and NODE_RANK from 0 to NNODES - 1.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: $0 CONFIG GPUS [options]" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
config=$1
gpus=$2
shift 2

exec env PYTHONPATH="$here/..:${PYTHONPATH:-}" \
    "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$gpus" \
    "$here/train.py" "$config" --launcher pytorch "$@"
