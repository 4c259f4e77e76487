"""Images as a network of a meta block wants them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...checkpoints.errors import CheckpointError
from ...datasets.images.decoding import UnreadableImageError, decode_image
from ...datasets.images.file_lists import find_images
from ..formats import IMAGENET_FACTS


def as_input(
    image: NDArray[np.uint8], meta: Mapping[str, Any], size: int
) -> Tensor:
    """Short side to 256 for 224, square of the centre, normalised.

    Args:
        image: ``[h, w, 3]`` BGR.
        meta: Meta block; where it does not say, the pixels of ImageNet.
        size: Of the square.

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
    facts = {k: meta[k] or v for k, v in IMAGENET_FACTS.items()}
    if facts['channel_order'] == 'rgb':
        square = square[..., ::-1]
    pixels = (square - np.array(facts['mean'])) / np.array(facts['std'])
    return torch.from_numpy(pixels.transpose(2, 0, 1)).float()


def read_image(path: Path | None) -> NDArray[np.uint8]:
    """An image of the user's, or the photograph that scikit-learn brings.

    Raises:
        CheckpointError: The image cannot be read, or there is none.
    """
    if path is not None:
        try:
            return decode_image(path.read_bytes())
        except (OSError, UnreadableImageError) as error:
            raise CheckpointError(f'{path}: {error}') from error
    try:
        from sklearn.datasets import load_sample_image
    except ImportError as error:
        raise CheckpointError(
            'no image to compare the libraries on: add --image FILE, or pip '
            'install scikit-learn for its sample photograph'
        ) from error
    return load_sample_image('china.jpg')[..., ::-1]


def batches(
    folder: Path, meta: Mapping[str, Any], size: int, batch: int, limit: int
) -> Iterator[Tensor]:
    """Full batches ``[batch, 3, size, size]`` of images spread over a folder.

    Raises:
        CheckpointError: There are not enough images for one.
    """
    paths = find_images([str(folder)])
    inputs = []
    for path in paths[:: max(1, len(paths) // limit)][:limit]:
        try:
            image = decode_image(Path(path).read_bytes())
        except UnreadableImageError:
            continue
        inputs.append(as_input(image, meta, size))
        if len(inputs) == batch:
            yield torch.stack(inputs)
            inputs = []
    if len(inputs) == len(paths):
        raise CheckpointError(
            f'{folder} has {len(paths)} images: statistics need at least '
            f'{batch}'
        )
