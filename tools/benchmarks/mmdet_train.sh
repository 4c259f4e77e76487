#!/usr/bin/env bash
# Train a detector from a backbone file, in a folder of its own.
#
#   tools/benchmarks/mmdet_train.sh CONFIG BACKBONE GPUS [options of tools/train.py]
#
# Results go to work_dirs/benchmarks/<config>/<backbone>-<hash of the file>, so
# that those of two files are never mixed, nor those of two files of one name.
#
# Environment: LAUNCHER is pytorch (as tools/dist_train.sh, the default) or
# slurm (as tools/slurm_train.sh; PARTITION must be set, JOB_NAME may be).
set -euo pipefail
[ $# -ge 3 ] || {
    echo "usage: $0 CONFIG BACKBONE GPUS [options]" >&2
    exit 2
}

tools=$(cd "$(dirname "$0")/.." && pwd)
config=$1
backbone=$2
gpus=$3
shift 3
[ -f "$backbone" ] || { echo "$0: no backbone file at $backbone" >&2; exit 1; }
hash=$(sha256sum <"$backbone" | cut -c1-8)
name=$(basename "${config%.py}")
source_name=$(basename "${backbone%.*}")
work_dir=work_dirs/benchmarks/$name/$source_name-$hash

case ${LAUNCHER:-pytorch} in
pytorch)
    exec "$tools/dist_train.sh" "$config" "$gpus" \
        --work-dir "$work_dir" --pretrained "$backbone" "$@"
    ;;
slurm)
    export GPUS=$gpus
    export GPUS_PER_NODE=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
    exec "$tools/slurm_train.sh" \
        "${PARTITION:?set PARTITION for LAUNCHER=slurm}" \
        "${JOB_NAME:-$name}" "$config" "$work_dir" \
        --pretrained "$backbone" "$@"
    ;;
*)
    echo "$0: LAUNCHER is pytorch or slurm, not $LAUNCHER" >&2
    exit 2
    ;;
esac
