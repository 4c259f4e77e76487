"""Images per second of 2 + 4 multi-crop views, against named peers.

    python tools/dev/speed/multicrop.py --json multicrop.json

As views.py, with the six views of the multi-crop recipe on ImageNet.
"""

from view_pipelines import benchmark
from views import VIEWS as GLOBAL_VIEWS

VIEWS = [
    *GLOBAL_VIEWS,
    dict(augmentation='strong_gamma', size=192, scale=(0.172, 0.86)),
    dict(augmentation='strong_gamma', size=160, scale=(0.143, 0.715)),
    dict(augmentation='strong_gamma', size=128, scale=(0.114, 0.571)),
    dict(augmentation='strong_gamma', size=96, scale=(0.086, 0.429)),
]

if __name__ == '__main__':
    benchmark(VIEWS, __doc__.split('\n')[0])
