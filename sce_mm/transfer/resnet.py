"""The architecture of a ResNet, read off its tensors and checked.

Every tensor that the architecture implies has to be there in its shape, and no
other: what is wrong with a file is then said when it is read, not when a
detector has trained on half of it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import torch
from mmpretrain.models import ResNet, ResNet_CIFAR
from torch import Tensor, nn

from .compare import compare
from .errors import CheckpointError
from .tensors import COUNTER

BLOCKS: dict[tuple[bool, tuple[int, ...]], int] = {
    (False, (2, 2, 2, 2)): 18,
    (False, (3, 4, 6, 3)): 34,
    (True, (3, 4, 6, 3)): 50,
    (True, (3, 4, 23, 3)): 101,
    (True, (3, 8, 36, 3)): 152,
}
NORM = ('weight', 'bias', 'running_mean', 'running_var')

# A tensor that gives away another architecture.
OTHERS = {
    r'(^|\.)patch_embed\.|(^|\.)(cls|class)_token$|\.relative_position_': (
        'a vision transformer'
    ),
    r'(^|\.)downsample_layers\.|\.conv_dw\.': 'a ConvNeXt',
    r'(^|\.)(conv1|stem)\.0\.weight$': 'a ResNet with a deep stem (timm '
    'resnetXXd, mmpretrain and mmdet ResNetV1c and V1d)',
    r'(^|\.)features\.\d': 'a VGG, MobileNet, DenseNet or another network of '
    'torchvision in one row',
    r'^res2_0_branch2a_w$': 'a Caffe2 model of Detectron',
}


class Architecture(NamedTuple):
    """What tells one ResNet from another.

    Attributes:
        bottleneck: Blocks of three convolutions, not two.
        blocks: Of each stage.
        stem: Channels of the first convolution.
        kernel: Of the first convolution: 7, or 3 for small images.
        channels: Of the first stage's output.
        middle: Of the 3 x 3 convolutions of the first stage.
        groups: Of these convolutions.
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
        for name, shape in shapes(found)
    }
    difference = compare(expected, tensors)
    if difference:
        raise CheckpointError(
            f'the tensors are not those of a whole {found.name}:\n{difference}'
        )
    for name, tensor in tensors.items():
        _check_values(name, tensor)
    return dict(tensors), found


def _check_values(name: str, tensor: Tensor) -> None:
    """Refuse numbers that no training leaves behind.

    Raises:
        CheckpointError: They are such.
    """
    if tensor.is_floating_point() == name.endswith(COUNTER):
        wrong = f'is of type {str(tensor.dtype).removeprefix("torch.")}'
    elif name.endswith('running_var') and (tensor < 0).any():
        wrong = 'has negative variances'
    elif tensor.ndim == 4 and not tensor.any():
        wrong = 'has nothing but zeros'
    else:
        return
    raise CheckpointError(
        f'{name} {wrong}, which no training leaves behind: the file is '
        'damaged, or not what was trained; copy or export it again'
    )


def architecture_of(tensors: Mapping[str, Tensor]) -> Architecture:
    """Architecture that a few tensors of the stem and first block imply.

    Raises:
        CheckpointError: It is none that is known here.
    """
    refuse_others(tensors)
    bottleneck = 'layer1.0.conv3.weight' in tensors
    needed = ('conv1.weight', 'bn1.weight', 'layer1.0.bn1.weight')
    last = f'layer1.0.bn{3 if bottleneck else 2}.weight'
    second = 'layer1.0.conv2.weight'
    for name in (*needed, second, last):
        if name not in tensors:
            raise CheckpointError(f'no {name}: not a ResNet, or not all of it')
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
    """Raise with the name of another architecture, if it is a known one.

    Raises:
        CheckpointError: It is.
    """
    names = list(names)
    for pattern, what in OTHERS.items():
        for name in names:
            if re.search(pattern, name):
                raise CheckpointError(
                    f'this is {what} ({name}); backbones of other code bases '
                    'are read if they are ResNets with a single convolution '
                    'as their stem'
                )


def shapes(found: Architecture) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of every tensor of a ResNet."""
    kernel = (found.kernel, found.kernel)
    yield from _conv_and_norm('', 1, (found.stem, 3, *kernel))
    width = found.stem
    for stage, blocks in enumerate(found.blocks):
        out, middle = found.channels << stage, found.middle << stage
        grouped = (middle, middle // found.groups, 3, 3)
        for block in range(blocks):
            at = f'layer{stage + 1}.{block}.'
            if found.bottleneck:
                yield from _conv_and_norm(at, 1, (middle, width, 1, 1))
                yield from _conv_and_norm(at, 2, grouped)
                yield from _conv_and_norm(at, 3, (out, middle, 1, 1))
            else:
                yield from _conv_and_norm(at, 1, (out, width, 3, 3))
                yield from _conv_and_norm(at, 2, (out, out, 3, 3))
            if block == 0 and (stage > 0 or width != out):
                yield f'{at}downsample.0.weight', (out, width, 1, 1)
                yield from _norm(f'{at}downsample.1.', out)
            width = out


def build(found: Architecture, style: str | None) -> ResNet:
    """The ResNet of mmpretrain that takes the tensors.

    Args:
        found: Of :func:`complete`.
        style: ``'pytorch'`` or ``'caffe'``; of no matter without bottlenecks.

    Raises:
        CheckpointError: It is no plain ResNet, or the style is not known.
    """
    if not found.plain:
        raise CheckpointError(
            f'{found.name} is not a plain ResNet: its forward pass is not '
            'known here, so nothing could be compared with it'
        )
    if found.bottleneck and style is None:
        raise CheckpointError(
            'the file does not say where its bottlenecks have their strides: '
            'add --style pytorch (3 x 3; torchvision and nearly all later '
            'code) or --style caffe (1 x 1)'
        )
    cls = ResNet if found.kernel == 7 else ResNet_CIFAR
    return cls(
        found.depth,
        stem_channels=found.stem,
        base_channels=found.middle,
        style=style or 'pytorch',
    )


@torch.no_grad()
def last_features(model: nn.Module, images: Tensor) -> Tensor:
    """Last feature map ``[N, C, h, w]`` of a backbone of OpenMMLab.

    Args:
        model: Put into evaluation mode.
        images: ``[N, 3, h, w]``.
    """
    model.eval()  # which returns None in some of them
    return model(images)[-1]


def _count(names: Mapping[str, Tensor], stage: str) -> int:
    """Blocks of a stage."""
    indices = {
        int(name.split('.')[1])
        for name in names
        if name.startswith(stage) and name.split('.')[1].isdecimal()
    }
    return max(indices, default=-1) + 1


def _conv_and_norm(
    at: str, number: int, shape: tuple[int, ...]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f'{at}conv{number}.weight', shape
    yield from _norm(f'{at}bn{number}.', shape[0])


def _norm(at: str, channels: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name in NORM:
        yield at + name, (channels,)
    yield at + COUNTER, ()
