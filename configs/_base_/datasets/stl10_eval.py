# STL-10 with labels, 5000 images to train and 8000 to validate, resized to the
# 64 pixels of the pretraining; otherwise as CIFAR-10.
_base_ = './cifar10_eval.py'

resize = dict(type='Resize', scale=64, backend='pillow')
dataset = dict(type='STL10', data_root='data/stl10')
train_dataloader = dict(
    dataset=dict(
        **dataset,
        pipeline=[
            resize,
            dict(type='RandomCrop', crop_size=64, padding=4),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='PackInputs'),
        ],
    )
)
plain = [resize, dict(type='PackInputs')]
val_dataloader = dict(dataset=dict(**dataset, pipeline=plain))
test_dataloader = dict(dataset=dict(**dataset, pipeline=plain))
# RGB, levels of 255: 0.4914 0.4822 0.4465 and 0.2471 0.2435 0.2616.
pixel_statistics = dict(
    mean=[125.307, 122.961, 113.8575], std=[63.0105, 62.0925, 66.708]
)
