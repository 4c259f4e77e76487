"""Recognise which ResNet a set of tensors belongs to."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from torch import Tensor

from ..checkpoints.errors import CheckpointError

BLOCKS: dict[tuple[bool, tuple[int, ...]], int] = {
    (False, (2, 2, 2, 2)): 18,
    (False, (3, 4, 6, 3)): 34,
    (True, (3, 4, 6, 3)): 50,
    (True, (3, 4, 23, 3)): 101,
    (True, (3, 8, 36, 3)): 152,
}

# A tensor that gives away another architecture.
OTHERS = {
    r'(^|\.)patch_embed\.|(^|\.)(cls|class)_token$|\.relative_position_': (
        'a vision transformer'
    ),
    r'(^|\.)downsample_layers\.|\.conv_dw\.': 'a ConvNeXt',
    r'(^|\.)(conv1|stem)\.0\.weight$': 'a ResNet with a deep stem (timm '
    'resnetXXd, mmpretrain and mmdet ResNetV1c and V1d)',
}


class Architecture(NamedTuple):
    """The numbers that tell one ResNet from another.

    Attributes:
        bottleneck: Blocks of three convolutions, not two.
        blocks: Number of blocks of each stage.
        stem: Channels of the first convolution.
        kernel: Size of the first convolution: 7, or 3 for small images.
        channels: Channels of the first stage's output.
        middle: Channels of the 3 x 3 convolutions of the first stage.
        groups: Groups of these convolutions.
    """

    bottleneck: bool
    blocks: tuple[int, ...]
    stem: int
    kernel: int
    channels: int
    middle: int
    groups: int

    @property
    def depth(self) -> int:
        """Layers, as the architecture is called."""
        return BLOCKS[self.bottleneck, self.blocks]

    @property
    def image_size(self) -> int:
        """Side of the images that the stem is made for."""
        return 224 if self.kernel == 7 else 32

    @property
    def plain(self) -> bool:
        """Neither grouped nor wide convolutions."""
        expansion = 4 if self.bottleneck else 1
        return self.groups == 1 and self.middle * expansion == self.channels

    @property
    def name(self) -> str:
        """As mmpretrain calls it, with the depth: ``ResNet-50``."""
        if not self.plain:
            return f'{"ResNeXt" if self.groups > 1 else "wide"}-{self.depth}'
        cls = 'ResNet' if self.kernel == 7 else 'ResNet_CIFAR'
        return f'{cls}-{self.depth}'


def architecture_of(tensors: Mapping[str, Tensor]) -> Architecture:
    """Architecture that a few tensors of the stem and first block imply.

    Raises:
        CheckpointError: It is no ResNet of a known depth.
    """
    refuse_others(tensors)
    bottleneck = 'layer1.0.conv3.weight' in tensors
    needed = ('conv1.weight', 'bn1.weight', 'layer1.0.bn1.weight')
    last = f'layer1.0.bn{3 if bottleneck else 2}.weight'
    second = 'layer1.0.conv2.weight'
    for name in (*needed, second, last):
        if name not in tensors:
            raise CheckpointError(
                f'no {name}: not a ResNet under the names of torchvision, or '
                f'not all of it; the tensors are '
                + ', '.join([*tensors][:3])
                + (', ...' if len(tensors) > 3 else '')
            )
        dimensions = 4 if 'conv' in name else 1
        if tensors[name].ndim != dimensions or not tensors[name].numel():
            raise CheckpointError(
                f'{name} has the shape {list(tensors[name].shape)}: not that '
                'of a ResNet'
            )
    kernel = tensors['conv1.weight'].shape[-1]
    if kernel not in (3, 7):
        raise CheckpointError(
            f'the stem is a {kernel} x {kernel} convolution: expected 7 x 7, '
            'or 3 x 3 for small images'
        )
    middle = tensors['layer1.0.bn1.weight'].numel()
    blocks = tuple(_count(tensors, f'layer{stage}.') for stage in range(1, 5))
    if (bottleneck, blocks) not in BLOCKS:
        raise CheckpointError(
            f'stages of {", ".join(map(str, blocks))} blocks are those of no '
            'ResNet that is known here (18, 34, 50, 101, 152 layers): tensors '
            'are missing, or it is another network'
        )
    return Architecture(
        bottleneck,
        blocks,
        stem=tensors['bn1.weight'].numel(),
        kernel=kernel,
        channels=tensors[last].numel(),
        middle=middle,
        groups=max(1, middle // tensors[second].shape[1]) if bottleneck else 1,
    )


def refuse_others(names: Iterable[str]) -> None:
    """Raise if the names are those of another known architecture.

    Raises:
        CheckpointError: With the name of the architecture.
    """
    for name in names:
        for pattern, what in OTHERS.items():
            if re.search(pattern, name):
                raise CheckpointError(
                    f'this is {what} ({name}); backbones of other code bases '
                    'are read if they are ResNets with a single convolution '
                    'as their stem'
                )


def _count(names: Mapping[str, Tensor], stage: str) -> int:
    indices = {
        int(name.split('.')[1])
        for name in names
        if name.startswith(stage) and name.split('.')[1].isdecimal()
    }
    return max(indices, default=-1) + 1
