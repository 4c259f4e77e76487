"""Batch norm statistics measured anew for the weights that they go with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...checkpoints.errors import CheckpointError
from ..backbone import tensor_hash
from ..resnet import build, complete
from .images import batches

BATCH, IMAGES = 32, 1024


@torch.no_grad()
def recalibrate(
    weights: Mapping[str, Tensor], meta: Mapping[str, Any], folder: Path
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Replace running means and variances by those over images.

    Each is the plain average over batches of 32 in training mode, of up to
    1024 images that are cut from the centre.

    Args:
        weights: Of a plain ResNet, under bare names.
        meta: Meta block; says what pixels the network takes.
        folder: Images like those of the training.

    Returns:
        The weights and the meta block with ``statistics`` that say so.

    Raises:
        CheckpointError: No plain ResNet, unknown pixels, or fewer images than
            a batch.
    """
    unknown = [k for k in ('channel_order', 'mean', 'std') if meta[k] is None]
    if unknown:
        raise CheckpointError(
            f'statistics depend on the pixels, and {", ".join(unknown)} is '
            'not known of this checkpoint: add --imagenet or each of them'
        )
    tensors, found = complete(weights)
    model = build(found, meta['style'])
    model.load_state_dict(tensors)
    model.train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
            module.momentum = None  # a cumulative average
    size = 224 if found.kernel == 7 else 32
    count = 0
    for images in batches(folder, meta, size, BATCH, IMAGES):
        model(images)
        count += len(images)
    measured = {k: v.clone() for k, v in model.state_dict().items()}
    return measured, {
        **meta,
        'statistics': f'measured anew on {count} images',
        'sha256': tensor_hash(measured),
    }
