"""Recognise a ResNet by its tensors, check them, and build the network.

Every tensor that the architecture implies has to be there in its shape, and no
other: what is wrong with a file is then said when it is read, not when a
detector has trained on half of it.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import torch
from mmpretrain.models import ResNet, ResNet_CIFAR
from torch import Tensor, nn

from ..checkpoints.errors import EXTRACT, CheckpointError
from ..checkpoints.state_dicts import COUNTER, shape_mismatches

BLOCKS: dict[tuple[bool, tuple[int, ...]], int] = {
    (False, (2, 2, 2, 2)): 18,
    (False, (3, 4, 6, 3)): 34,
    (True, (3, 4, 6, 3)): 50,
    (True, (3, 4, 23, 3)): 101,
    (True, (3, 8, 36, 3)): 152,
}


class Architecture(NamedTuple):
    """The numbers that tell one ResNet from another.

    Attributes:
        bottleneck: Blocks of three convolutions, not two.
        blocks: Number of blocks of each stage.
        stem: Channels of the first convolution.
        kernel: Size of the first convolution: 7, or 3 for small images.
        width: Channels of the 3 x 3 convolutions of the first stage.
    """

    bottleneck: bool
    blocks: tuple[int, ...]
    stem: int
    kernel: int
    width: int

    @property
    def depth(self) -> int:
        """Layers, as the architecture is called."""
        return BLOCKS[self.bottleneck, self.blocks]

    @property
    def image_size(self) -> int:
        """Side of the images that the stem is made for."""
        return 224 if self.kernel == 7 else 32

    @property
    def name(self) -> str:
        """As mmpretrain calls it, with the depth: ``ResNet-50``."""
        cls = 'ResNet' if self.kernel == 7 else 'ResNet_CIFAR'
        return f'{cls}-{self.depth}'


def architecture_of(tensors: Mapping[str, Tensor]) -> Architecture:
    """Architecture that a few tensors of the stem and first block imply.

    Raises:
        CheckpointError: It is no plain ResNet of a known depth.
    """
    bottleneck = 'layer1.0.conv3.weight' in tensors
    for name in ('conv1.weight', 'layer1.0.conv2.weight'):
        if name not in tensors:
            raise CheckpointError(
                f'no {name}: not a ResNet with a single convolution as its '
                'stem under the names of torchvision, or not all of it; the '
                f'tensors are {", ".join([*tensors][:3])}'
                + (', ...' if len(tensors) > 3 else '')
            )
        if tensors[name].ndim != 4 or not tensors[name].numel():
            raise CheckpointError(
                f'{name} has the shape {list(tensors[name].shape)}: not that '
                'of a ResNet'
            )
    stem, *_, kernel = tensors['conv1.weight'].shape
    if kernel not in (3, 7):
        raise CheckpointError(
            f'the stem is a {kernel} x {kernel} convolution: expected 7 x 7, '
            'or 3 x 3 for small images'
        )
    names = [re.match(r'layer(\d)\.(\d+)\.', name) for name in tensors]
    indices = [(match[1], int(match[2])) for match in names if match]
    blocks = tuple(
        1 + max((i for stage, i in indices if stage == n), default=-1)
        for n in '1234'
    )
    if (bottleneck, blocks) not in BLOCKS:
        raise CheckpointError(
            f'stages of {", ".join(map(str, blocks))} blocks are those of no '
            'ResNet that is known here (18, 34, 50, 101, 152 layers): tensors '
            'are missing, or it is another network'
        )
    width = len(tensors['layer1.0.conv2.weight'])
    return Architecture(bottleneck, blocks, stem, kernel, width)


def complete(
    tensors: Mapping[str, Tensor],
) -> tuple[dict[str, Tensor], Architecture]:
    """Check the tensors of a ResNet under bare names; return both.

    Files from before PyTorch counted batches have no counters: these start at
    zero, where all are missing.

    Raises:
        CheckpointError: They are not those of a ResNet.
    """
    if not any(name.endswith(COUNTER) for name in tensors):
        norms = [n for n in tensors if n.endswith('.running_mean')]
        names = [name.replace('running_mean', COUNTER) for name in norms]
        tensors = {**tensors, **{name: torch.tensor(0) for name in names}}
    found = architecture_of(tensors)
    if mismatches := shape_mismatches(_expected(found), tensors):
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


def _expected(found: Architecture) -> dict[str, Tensor]:
    """Every tensor of a ResNet, without memory: only the shapes count."""
    before = found.stem
    convs = [('conv1', 'bn1', before, 3, found.kernel)]
    for stage, blocks in enumerate(found.blocks):
        width = found.width << stage
        out = width * (4 if found.bottleneck else 1)
        for block in range(blocks):
            at = f'layer{stage + 1}.{block}'
            sizes = [(out, before, 3), (out, out, 3)]
            if found.bottleneck:
                sizes = [
                    (width, before, 1),
                    (width, width, 3),
                    (out, width, 1),
                ]
            for i, size in enumerate(sizes, 1):
                convs.append((f'{at}.conv{i}', f'{at}.bn{i}', *size))
            if block == 0 and (stage > 0 or before != out):
                shortcut = f'{at}.downsample'
                convs.append(
                    (f'{shortcut}.0', f'{shortcut}.1', out, before, 1)
                )
            before = out
    shapes: dict[str, tuple[int, ...]] = {}
    for conv, norm, out, channels, kernel in convs:
        shapes[f'{conv}.weight'] = (out, channels, kernel, kernel)
        for name in ('weight', 'bias', 'running_mean', 'running_var'):
            shapes[f'{norm}.{name}'] = (out,)
        shapes[f'{norm}.{COUNTER}'] = ()
    return {k: torch.empty(v, device='meta') for k, v in shapes.items()}


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
    """Last feature map ``[N, C, h, w]`` of a backbone in evaluation mode."""
    model.eval()  # which returns None in some backbones of OpenMMLab
    return model(images)[-1]
