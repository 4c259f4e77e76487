"""ResNets: sizes from the tensors, names of other libraries."""

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...checkpoints.errors import EXTRACT, CheckpointError
from ...checkpoints.state_dicts import COUNTER
from .architecture import Architecture, Family, Renaming, blocks_of, shape_of

CLASSES = ('ResNet', 'ResNet_CIFAR')
BLOCKS: dict[tuple[bool, tuple[int, ...]], int] = {
    (False, (2, 2, 2, 2)): 18,
    (False, (3, 4, 6, 3)): 34,
    (True, (3, 4, 6, 3)): 50,
    (True, (3, 4, 23, 3)): 101,
    (True, (3, 8, 36, 3)): 152,
}


class _Numbers(NamedTuple):
    bottleneck: bool
    blocks: tuple[int, ...]
    stem: int
    kernel: int
    width: int


class ResNetArchitecture(_Numbers, Architecture):
    """A ResNet with a single convolution as its stem.

    Attributes:
        bottleneck: Blocks of three convolutions, not two.
        blocks: Number of blocks of each stage.
        stem: Channels of the first convolution.
        kernel: Size of the first convolution: 7, or 3 for small images.
        width: Channels of the 3 x 3 convolutions of the first stage.
    """

    @property
    def depth(self) -> int:
        """Layers, as the architecture is called."""
        return BLOCKS[self.bottleneck, self.blocks]

    @property
    def image_size(self) -> int:
        """Side of the images that the stem is made for."""
        return 224 if self.kernel == 7 else 32

    @property
    def class_name(self) -> str:
        """Name of its class in mmpretrain."""
        return 'ResNet' if self.kernel == 7 else 'ResNet_CIFAR'

    @property
    def name(self) -> str:
        """Name of the network in mmpretrain, with the depth: ``ResNet-50``."""
        return f'{self.class_name}-{self.depth}'

    @property
    def settings(self) -> tuple[str, ...]:
        """Where bottlenecks have their strides, which no tensor shows."""
        return ('style',) if self.bottleneck else ()

    def config(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        """Config of the network in mmpretrain."""
        style = meta.get('style')
        if self.bottleneck and style is None:
            raise CheckpointError(
                'the file does not say where its bottlenecks have their '
                f'strides: to {EXTRACT} add --style pytorch (3 x 3; '
                'torchvision and nearly all later code) or --style caffe '
                '(1 x 1)'
            )
        return {
            'type': f'mmpretrain.{self.class_name}',
            'depth': self.depth,
            'stem_channels': self.stem,
            'base_channels': self.width,
            'style': style or 'pytorch',
        }

    def dense_config(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        """Config of the network that gives a map of each stage."""
        indices = list(range(len(self.blocks)))
        return {**self.config(meta), 'out_indices': indices}

    def expected(self) -> dict[str, Tensor]:
        """Every tensor, without memory: only names and shapes count."""
        before = self.stem
        convs = [('conv1', 'bn1', before, 3, self.kernel)]
        for stage, blocks in enumerate(self.blocks):
            width = self.width << stage
            out = width * (4 if self.bottleneck else 1)
            for block in range(blocks):
                at = f'layer{stage + 1}.{block}'
                sizes = [(out, before, 3), (out, out, 3)]
                if self.bottleneck:
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

    def filled(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The tensors, with counters at zero where all are missing.

        Files from before PyTorch counted batches have none.
        """
        if any(name.endswith(COUNTER) for name in tensors):
            return tensors
        norms = [n for n in tensors if n.endswith('.running_mean')]
        names = [name.replace('running_mean', COUNTER) for name in norms]
        return {**tensors, **{name: torch.tensor(0) for name in names}}


def architecture_of(tensors: Mapping[str, Tensor]) -> ResNetArchitecture:
    """Architecture that a few tensors of the stem and first block imply.

    Raises:
        CheckpointError: It is no plain ResNet of a known depth.
    """
    bottleneck = 'layer1.0.conv3.weight' in tensors
    stem, *_, kernel = shape_of(tensors, 'conv1.weight', 4)
    width, *_ = shape_of(tensors, 'layer1.0.conv2.weight', 4)
    if kernel not in (3, 7):
        raise CheckpointError(
            f'the stem is a {kernel} x {kernel} convolution: expected 7 x 7, '
            'or 3 x 3 for small images'
        )
    blocks = blocks_of(tensors, r'layer(\d)\.(\d+)\.')[1:]
    if (bottleneck, blocks) not in BLOCKS:
        raise CheckpointError(
            f'stages of {", ".join(map(str, blocks))} blocks are those of no '
            'ResNet that is known here (18, 34, 50, 101, 152 layers): tensors '
            'are missing, or it is another network'
        )
    return ResNetArchitecture(bottleneck, blocks, stem, kernel, width)


class NumberedChildren:
    """Names in ``nn.Sequential(*list(resnet.children()))``, as in lightly.

    Stem and norm come first, the stages follow in their order. ReLU and
    pooling have a number but no tensors, and the small networks of lightly
    have neither among their children: only the order counts.
    """

    def matches(self, names: Collection[str]) -> bool:
        """Whether these are the names."""
        block = re.compile(r'\d+\.\d+\.conv1\.weight')
        return '0.weight' in names and any(map(block.fullmatch, names))

    def translated(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors under the names that the children had, no classifier."""
        numbers = sorted(
            {name.split('.')[0] for name in tensors},
            # Whatever has no number comes last.
            key=lambda name: int(name) if name.isdecimal() else 10**6,
        )
        children = (
            *('conv1', 'bn1', 'layer1', 'layer2', 'layer3', 'layer4'),
            'fc',
        )
        names = dict(zip(numbers, children, strict=False))
        renamed = {}
        for name, tensor in tensors.items():
            number, _, rest = name.replace(
                'shortcut.', 'downsample.'
            ).partition('.')
            if names.get(number) != 'fc':
                renamed[f'{names.get(number, number)}.{rest}'] = tensor
        return renamed


# res2 of detectron2 is layer1, convN.norm is bnN.
_TO_DETECTRON2 = (
    (r'^(?!layer)', 'stem.'),
    (r'^layer(\d)', lambda match: f'res{int(match[1]) + 1}'),
    (r'\bbn(\d)\b', r'conv\1.norm'),
    (r'\bdownsample\.0\b', 'shortcut'),
    (r'\bdownsample\.1\b', 'shortcut.norm'),
)
DETECTRON2 = Renaming(
    frozenset({'stem.conv1.weight', 'res2.0.conv1.weight'}),
    (
        (r'^stem\.', ''),
        (r'^res(\d)', lambda match: f'layer{int(match[1]) - 1}'),
        (r'\bconv(\d)\.norm\b', r'bn\1'),
        (r'\bshortcut\.norm\b', 'downsample.1'),
        (r'\bshortcut\b', 'downsample.0'),
    ),
    r'fc\.',
)


def to_detectron2(name: str) -> str:
    """Name of a tensor in detectron2.

    >>> to_detectron2('layer1.0.bn1.weight')
    'res2.0.conv1.norm.weight'
    """
    for pattern, replacement in _TO_DETECTRON2:
        name = re.sub(pattern, replacement, name)
    return name


RESNET = Family(
    'ResNet with a single convolution as its stem',
    (
        # mmpretrain, torchvision, timm.
        Renaming(
            frozenset({'conv1.weight', 'layer1.0.conv1.weight'}),
            # The last two are of SwAV.
            left_out=r'fc\.|projection_head\.|prototypes\.',
        ),
        DETECTRON2,
        NumberedChildren(),
    ),
    architecture_of,
)
