"""Check the tensors of a ResNet, and build the network that takes them.

Every tensor that the architecture implies has to be there in its shape, and no
other: what is wrong with a file is then said when it is read, not when a
detector has trained on half of it.
"""

from collections.abc import Mapping

import torch
from mmpretrain.models import ResNet, ResNet_CIFAR
from torch import Tensor, nn

from ..checkpoints.errors import EXTRACT, CheckpointError
from ..checkpoints.state_dicts import COUNTER, shape_mismatches
from .architecture import Architecture, architecture_of


def complete(
    tensors: Mapping[str, Tensor],
) -> tuple[dict[str, Tensor], Architecture]:
    """Check the tensors of a ResNet.

    Args:
        tensors: Under bare names. Files from before PyTorch counted batches
            have no counters: these start at zero, where all are missing.

    Returns:
        The tensors and the architecture.

    Raises:
        CheckpointError: They are not those of a ResNet.
    """
    if not any(name.endswith(COUNTER) for name in tensors):
        counters = {
            name.replace('running_mean', COUNTER): torch.tensor(0)
            for name in tensors
            if name.endswith('.running_mean')
        }
        tensors = {**tensors, **counters}
    found = architecture_of(tensors)
    expected = {
        # Without memory: only the shape counts.
        name: torch.empty(shape, device='meta')
        for name, shape in _shapes(found).items()
    }
    mismatches = shape_mismatches(expected, tensors)
    if mismatches:
        raise CheckpointError(
            f'the tensors are not those of a whole {found.name}:\n{mismatches}'
        )
    for name, tensor in tensors.items():
        if tensor.is_floating_point() == name.endswith(COUNTER):
            wrong = f'is of type {str(tensor.dtype).removeprefix("torch.")}'
        elif name.endswith('running_var') and (tensor < 0).any():
            wrong = 'has negative variances'
        elif tensor.ndim == 4 and not tensor.any():
            wrong = 'has nothing but zeros'
        else:
            continue
        raise CheckpointError(
            f'{name} {wrong}, which no training leaves behind: the file is '
            'damaged, or not what was trained; copy or export it again'
        )
    return dict(tensors), found


def _shapes(found: Architecture) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor of a ResNet."""
    shapes: dict[str, tuple[int, ...]] = {}

    def add(conv: str, norm: str, *shape: int) -> None:
        shapes[f'{conv}.weight'] = shape
        for name in ('weight', 'bias', 'running_mean', 'running_var'):
            shapes[f'{norm}.{name}'] = shape[:1]
        shapes[f'{norm}.{COUNTER}'] = ()

    add('conv1', 'bn1', found.stem, 3, found.kernel, found.kernel)
    before = found.stem
    for stage, blocks in enumerate(found.blocks):
        width = found.width << stage
        out = width * (4 if found.bottleneck else 1)
        for block in range(blocks):
            at = f'layer{stage + 1}.{block}.'
            if found.bottleneck:
                add(f'{at}conv1', f'{at}bn1', width, before, 1, 1)
                add(f'{at}conv2', f'{at}bn2', width, width, 3, 3)
                add(f'{at}conv3', f'{at}bn3', out, width, 1, 1)
            else:
                add(f'{at}conv1', f'{at}bn1', out, before, 3, 3)
                add(f'{at}conv2', f'{at}bn2', out, out, 3, 3)
            if block == 0 and (stage > 0 or before != out):
                shortcut = f'{at}downsample'
                add(f'{shortcut}.0', f'{shortcut}.1', out, before, 1, 1)
            before = out
    return shapes


def build(found: Architecture, style: str | None) -> ResNet:
    """The ResNet of mmpretrain that takes the tensors.

    Args:
        found: Returned by :func:`complete`.
        style: ``'pytorch'`` or ``'caffe'``; any without bottlenecks.

    Raises:
        CheckpointError: The style is not known.
    """
    if found.bottleneck and style is None:
        raise CheckpointError(
            'the file does not say where its bottlenecks have their strides: '
            f'to {EXTRACT} add --style pytorch (3 x 3; torchvision and nearly '
            'all later code) or --style caffe (1 x 1)'
        )
    cls = ResNet if found.kernel == 7 else ResNet_CIFAR
    return cls(
        found.depth,
        stem_channels=found.stem,
        base_channels=found.width,
        style=style or 'pytorch',
    )


@torch.no_grad()
def last_features(model: nn.Module, images: Tensor) -> Tensor:
    """Last feature map ``[N, C, h, w]`` of a backbone of OpenMMLab.

    Args:
        model: Backbone; it is put into evaluation mode.
        images: ``[N, 3, h, w]``.
    """
    model.eval()  # which returns None in some of them
    return model(images)[-1]
