#!/usr/bin/env bash
# The estimate of memory against what a training really takes, for three
# recipes on narrow networks:
#
#     tools/dev/speed/estimates.sh FOLDER
#
# writes FOLDER/estimate-{1,2,3}.json. Freed tensors go back to the system at
# once, so that the high-water mark is that of what is alive.
set -euo pipefail
cd "$(dirname "$0")/../../.."
folder=${1:?usage: estimates.sh FOLDER}
export MALLOC_MMAP_THRESHOLD_=65536

compare() { # NUMBER CONFIG BATCH IMAGES
    "${PYTHON:-python}" -W ignore tools/analysis_tools/estimate.py \
        "configs/sce/$2.py" --device cpu --probe-seconds 0 --images "$4" \
        --json "$folder/estimate-$1.json" \
        --cfg-options model.backbone.depth=18 \
        model.backbone.base_channels=16 model.backbone.stem_channels=16 \
        model.neck.in_channels=128 model.neck.hid_channels=128 \
        train_dataloader.batch_size="$3"
}

compare 1 sce_resnet18_1xb256-amp-coslr-200e_cifar10 128 50000
compare 2 sce_resnet18_1xb64-coslr-200e_folder 48 10000
compare 3 sce_resnet50_16xb256-amp-mcrop-coslr-200e_in1k 8 1281167
