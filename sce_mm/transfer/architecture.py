"""Recognise which ResNet a set of tensors belongs to."""

from collections.abc import Mapping
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
    blocks = tuple(_count(tensors, f'layer{stage}.') for stage in range(1, 5))
    if (bottleneck, blocks) not in BLOCKS:
        raise CheckpointError(
            f'stages of {", ".join(map(str, blocks))} blocks are those of no '
            'ResNet that is known here (18, 34, 50, 101, 152 layers): tensors '
            'are missing, or it is another network'
        )
    width = len(tensors['layer1.0.conv2.weight'])
    return Architecture(bottleneck, blocks, stem, kernel, width)


def _count(names: Mapping[str, Tensor], stage: str) -> int:
    indices = {
        int(name.split('.')[1])
        for name in names
        if name.startswith(stage) and name.split('.')[1].isdecimal()
    }
    return max(indices, default=-1) + 1
