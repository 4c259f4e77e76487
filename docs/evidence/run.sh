#!/usr/bin/env bash
# One of the comparisons of docs/transfer.md:
#
#     run.sh cells|nuclei|persons|imagenet|persons-imagenet [OPTIONS]
#
# Reads data/SET/images, data/SET/train.json and data/SET/val.json (imagenet:
# those of cells; both with imagenet: data/imagenet.pth too), writes
# work_dirs/NAME, and goes on where it was stopped. OPTIONS come last.
#
# STARTS=main trains from random initialisation and SCE alone, and leaves out
# the other rows of the tables; EPOCHS=112 is the length of that pretraining.
set -eu
name=$1
shift

# A pretraining: views of 64 pixels, and a loader beside each of two jobs.
pretraining=(
    train_dataloader.num_workers=1 default_hooks.checkpoint.interval=7
    train_dataloader.dataset.pipeline.1.views.0.size=64
    train_dataloader.dataset.pipeline.1.views.1.size=64
)
# Half as wide as a ResNet-18, bfloat16 on the processor, about 1,900 steps of
# 64 pairs.
narrow=(
    model.backbone.base_channels=32 model.backbone.stem_channels=32
    model.neck.in_channels=256 optim_wrapper.type=BF16OptimWrapper
    "train_cfg.max_epochs=${EPOCHS:-28}" param_scheduler.warmup_epochs=2
)
dense=(
    sce_resnet18_1xb64-dense-coslr-200e_folder
    'model.backbone.out_indices=(2,3)' model.dense_head.level=0
    model.dense_neck.in_channels=128 model.dense_neck.hid_channels=128
    model.dense_neck.out_channels=64
)
# With the pyramid of the detectors.
pyramid=(
    sce_resnet18_1xb64-pyramid-coslr-200e_folder
    'model.pyramid.in_channels=[32,64,128,256]' model.pyramid.out_channels=64
    model.dense_neck.in_channels=64 model.dense_neck.hid_channels=128
    model.dense_neck.out_channels=64
)
# What is compared, beside random initialisation and SCE.
starts=(
    --longer-random 2
    --variant InfoNCE model.head.loss.coeff=1
    --variant 'relations alone' model.head.loss.coeff=0
    --variant 'SCE + dense' "${dense[@]}"
    --variant 'SCE, whole images' regions=none
    --variant 'SCE, 112 epochs' train_cfg.max_epochs=112
)
recipe=sce_resnet18_1xb64-coslr-200e_folder
data=data/$name
percent=10
iterations=300
case $name in
    cells)
        detector=configs/demo/faster-rcnn_r18_fpn_small.py
        regions=(--regions 128)
        pretraining+=("${narrow[@]}")
        seeds=(0 1 2)
        ;;
    nuclei)
        detector=configs/demo/mask-rcnn_r18_fpn_small.py
        regions=(--regions auto --regions-per-image 9)
        pretraining+=("${narrow[@]}")
        starts+=(
            --variant 'InfoNCE, 112 epochs' model.head.loss.coeff=1
            train_cfg.max_epochs=112
            --variant 'SCE + pyramid' "${pyramid[@]}"
        )
        seeds=(0 1 2 3 4)
        ;;
    persons)
        detector=configs/demo/faster-rcnn_r18_fpn_small.py
        regions=(--regions auto --regions-per-image 47)
        pretraining+=("${narrow[@]}")
        starts=()
        percent=100
        iterations=600
        seeds=(0 1 2)
        ;;
    imagenet|persons-imagenet)
        detector=docs/evidence/efficientnet_detector.py
        recipe=docs/evidence/efficientnet_sce.py
        regions=(--regions 128)
        data=data/cells
        if [ "$name" = persons-imagenet ]; then
            regions=(--regions auto --regions-per-image 47)
            data=data/persons
            percent=100
            iterations=600
        fi
        # About 950 steps, pixels as those weights expect them.
        pretraining+=(
            train_cfg.max_epochs=14 param_scheduler.warmup_epochs=1
            'model.data_preprocessor.mean=[127,127,127]'
            'model.data_preprocessor.std=[128,128,128]'
        )
        weights=data/imagenet.pth
        starts=(--weights ImageNet "$weights" --init-from "$weights")
        seeds=(0 1 2)
        ;;
    *)
        echo "expected cells, nuclei, persons, imagenet or persons-imagenet," \
            "got $name" >&2
        exit 2
        ;;
esac
case ${STARTS:-all} in
    all) ;;
    main) starts=() ;;
    *)
        echo "expected STARTS=all or STARTS=main, got $STARTS" >&2
        exit 2
        ;;
esac
# Six epochs of all labels, batches of two.
schedule=(
    train_cfg.max_epochs=6 train_cfg.val_interval=6 param_scheduler.1.end=6
    default_hooks.checkpoint.interval=6 train_dataloader.batch_size=2
)

exec sce compare "work_dirs/$name" --images "$data/images" \
    --train "$data/train.json" --train-images "$data/images" \
    --val "$data/val.json" --val-images "$data/images" \
    --detector "$detector" --pretraining "$recipe" "${regions[@]}" \
    "${starts[@]}" --pretraining-options "${pretraining[@]}" \
    --detector-options "${schedule[@]}" --min-iterations "$iterations" \
    --percent "$percent" \
    --seeds 0 1 2 3 4 --pretraining-seeds "${seeds[@]}" --jobs 2 "$@"
