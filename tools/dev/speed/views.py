"""Images per second of the two-view pipeline, against named peers.

    python tools/dev/speed/views.py --json views.json

Each pipeline reads the same JPEG files, makes the two 224-pixel views of the
ImageNet recipe and gives them as uint8 tensors, on one core.
"""

from view_pipelines import benchmark

VIEWS = [
    dict(augmentation='strong_alpha', size=224, scale=(0.2, 1.0)),
    dict(augmentation='strong_beta', size=224, scale=(0.2, 1.0)),
]

if __name__ == '__main__':
    benchmark(VIEWS, __doc__.split('\n')[0])
