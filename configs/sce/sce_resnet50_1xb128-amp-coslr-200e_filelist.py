"""SCE on the images that a text file names, one path a line.

    sce train sce_resnet50_1xb128-amp-coslr-200e_filelist \
        --cfg-options train_dataloader.dataset.ann_file=path/to/list.txt \
        --auto-scale-lr

The recipe for a folder in all else. Relative paths begin at the current
directory, or at train_dataloader.dataset.data_root if that is set.
"""

_base_ = './sce_resnet50_1xb128-amp-coslr-200e_folder.py'
_base_.train_dataloader.dataset.update(data_root='', ann_file='data/list.txt')
