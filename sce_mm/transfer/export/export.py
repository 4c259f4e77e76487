"""Write a backbone for another library, and see that it gives the same there.

The file gets its name only after the library has loaded it and computed the
same features from a real image.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...checkpoints.durable_files import write_durably
from ...checkpoints.errors import CheckpointError
from ..architecture import Architecture
from ..resnet import build, complete, last_features
from .targets import TARGETS, Target

# Of the largest feature. The same operations in the same order give 0;
# onnxruntime merges batch norm into convolutions.
TOLERANCE = 1e-4


def export(
    name: str,
    path: Path,
    weights: Mapping[str, Tensor],
    meta: Mapping[str, Any],
    images: Tensor,
) -> float:
    """Write, load in the target library, compare, keep.

    Args:
        name: Key of ``TARGETS``.
        path: File to write.
        weights: Under bare names.
        meta: Meta block.
        images: ``[N, 3, h, w]``, normalised.

    Returns:
        Largest deviation of the last feature map from this project's, in
        parts of the largest feature.

    Raises:
        CheckpointError: The target cannot express the network, is not
            installed, or computes something else. There is no file then.
    """
    target = TARGETS[name]
    if path.suffix not in target.suffixes:
        raise CheckpointError(
            f'{path.name} has to end in {" or ".join(target.suffixes)}: '
            f'{name} tells formats by it'
        )
    tensors, found = complete(weights)
    expected = _features(found, tensors, meta['style'], images)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / path.name
        target.write(draft, tensors, meta)
        deviation = _deviation(target, draft, found, meta, images, expected)
        if not deviation <= TOLERANCE:
            raise CheckpointError(
                f'{name} computes other features from the file (they differ '
                f'by {deviation:.1e} of the largest): nothing was written'
            )
        write_durably(path, draft.read_bytes())
    return deviation


def snippet(
    name: str,
    path: Path,
    weights: Mapping[str, Tensor],
    meta: Mapping[str, Any],
) -> str:
    """How to load the file in the target library."""
    _, found = complete(weights)
    expansion = 4 if found.bottleneck else 1
    small = found.kernel == 3
    widths = ''
    if (found.stem, found.middle) != (64, 64):
        widths = f', stem_channels={found.stem}, base_channels={found.middle}'
    return TARGETS[name].snippet.format(
        path=str(path),
        depth=found.depth,
        widths=widths,
        cls='ResNet_CIFAR' if small else 'ResNet',
        det_cls='mmpretrain.ResNet_CIFAR' if small else 'ResNet',
        features=found.channels * 8,
        stem=found.stem,
        res2=found.middle * expansion,
        style=meta['style'] or 'pytorch',
        in_1x1=meta['style'] == 'caffe',
        order=(meta['channel_order'] or 'unknown').upper(),
        mean=meta['mean'],
        std=meta['std'],
    )


def _features(
    found: Architecture,
    tensors: Mapping[str, Tensor],
    style: str | None,
    images: Tensor,
) -> Tensor:
    model = build(found, style)
    model.load_state_dict(dict(tensors))
    return last_features(model, images)


@torch.no_grad()
def _deviation(
    target: Target,
    path: Path,
    found: Architecture,
    meta: Mapping[str, Any],
    images: Tensor,
    expected: Tensor,
) -> float:
    features = target.run(path, found, meta['style'], images)
    if features.shape != expected.shape:
        return float('inf')
    return float((features - expected).abs().max() / expected.abs().max())
