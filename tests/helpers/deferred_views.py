"""Images with the parameters of their views, as the loader defers them."""

import numpy as np
import torch

from sce_mm.datasets import SCEViews

STATISTICS = dict(
    mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
)


def deferred_batch() -> dict:
    """Two images and parameters in which every operation occurs."""
    transform = SCEViews(
        [
            dict(
                augmentation='strong_beta',
                size=24,
                jitter_prob=1.0,
                grey_prob=0.5,
                blur_prob=1.0,
                solarise_prob=1.0,
            ),
            dict(augmentation='weak', size=12),
        ],
        deferred=True,
    )
    np.random.seed(0)
    draw = np.random.default_rng(0)
    images, params = [], []
    for size in ((50, 60), (40, 31)):
        image = draw.integers(0, 256, (*size, 3), dtype=np.uint8)
        raw, rows = transform(dict(img=image))['img']
        images.append(torch.from_numpy(raw).permute(2, 0, 1).contiguous())
        params.append(rows)
    return {'inputs': [images, params], 'data_samples': None}
