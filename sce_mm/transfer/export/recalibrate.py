"""Measure batch norm statistics again, on images (``--recalibrate``)."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...checkpoints.errors import CheckpointError
from ...datasets.images.decoding import UnreadableImageError, decode_image
from ...datasets.images.file_lists import find_images
from ..backbone import Backbone
from ..metadata import tensor_hash
from ..resnet import complete

BATCH, IMAGES = 32, 1024


@torch.no_grad()
def recalibrate(backbone: Backbone, folder: Path) -> Backbone:
    """Replace running means and variances by those over images.

    Each is the plain average over batches of 32 in training mode, of up to
    1024 images that are cut from the centre.

    Args:
        backbone: A plain ResNet; its meta block says what pixels it takes.
        folder: Images like those of the training.

    Returns:
        The backbone with ``statistics`` that say so.

    Raises:
        CheckpointError: No plain ResNet, unknown pixels, or fewer images than
            a batch.
    """
    meta = backbone.meta
    unknown = [k for k in ('channel_order', 'mean', 'std') if meta[k] is None]
    if unknown:
        raise CheckpointError(
            f'statistics depend on the pixels, and {", ".join(unknown)} is '
            'not known of this checkpoint: add --imagenet or each of them'
        )
    _, found = complete(backbone.weights)
    model = backbone.network()
    model.train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
            module.momentum = None  # a cumulative average
    count = 0
    for images in _batches(folder, meta, found.image_size):
        model(images)
        count += len(images)
    measured = {k: v.clone() for k, v in model.state_dict().items()}
    return Backbone(
        measured,
        {
            **meta,
            'statistics': f'measured again on {count} images',
            'sha256': tensor_hash(measured),
        },
    )


def _batches(
    folder: Path, meta: Mapping[str, Any], size: int
) -> Iterator[Tensor]:
    """Full batches ``[32, 3, size, size]`` of images spread over a folder.

    Raises:
        CheckpointError: There are not enough images for one.
    """
    paths = find_images([str(folder)])
    inputs = []
    for path in paths[:: max(1, len(paths) // IMAGES)][:IMAGES]:
        try:
            image = decode_image(Path(path).read_bytes())
        except UnreadableImageError:
            continue
        inputs.append(as_input(image, meta, size))
        if len(inputs) == BATCH:
            yield torch.stack(inputs)
            inputs = []
    if len(inputs) == len(paths):
        raise CheckpointError(
            f'{folder} has {len(paths)} images: statistics need at least '
            f'{BATCH}'
        )


def as_input(
    image: NDArray[np.uint8], meta: Mapping[str, Any], size: int
) -> Tensor:
    """Short side to 256 for 224, square of the centre, normalised.

    Args:
        image: ``[h, w, 3]`` BGR.
        meta: Meta block with known pixels.
        size: Side of the square.

    Returns:
        ``[3, size, size]``.
    """
    height, width = image.shape[:2]
    scale = size * 8 / 7 / min(height, width)
    wide = max(size, round(width * scale))
    high = max(size, round(height * scale))
    resized = cv2.resize(image, (wide, high), interpolation=cv2.INTER_AREA)
    top, left = (high - size) // 2, (wide - size) // 2
    square = resized[top : top + size, left : left + size]
    if meta['channel_order'] == 'rgb':
        square = square[..., ::-1]
    pixels = (square - np.array(meta['mean'])) / np.array(meta['std'])
    return torch.from_numpy(pixels.transpose(2, 0, 1)).float()
