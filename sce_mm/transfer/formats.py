"""Checkpoint formats: under which names each code base keeps its backbone.

To read the checkpoints of another code base, add a :class:`Format`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from ..checkpoints.errors import CheckpointError

# Tensors that every ResNet has, whatever its depth.
_BARE = ('conv1.weight', 'layer1.0.conv1.weight')
_DETECTRON2 = ('stem.conv1.weight', 'res2.0.conv1.weight')
# Of nn.Sequential(*list(resnet.children())[:-1]), as in lightly's tutorials:
# stem and norm come first, the stages follow in their order.
_IN_A_ROW = re.compile(r'(\d+)\.(\d+\.conv1\.weight)')

OWN = 'sce_mm pretraining'

# What the code of these projects feeds to networks for 224-pixel images.
IMAGENET: Mapping[str, Any] = {
    'channel_order': 'rgb',
    'mean': [123.675, 116.28, 103.53],
    'std': [58.395, 57.12, 57.375],
    'style': 'pytorch',
}


class Format(NamedTuple):
    """Names under which one code base keeps its backbones.

    Attributes:
        name: Name for messages.
        online: Prefix of the names of the online branch.
        momentum: Prefix of the names of the momentum branch, if there is one.
        mixed: The momentum branch has the batch norm statistics of the
            online branch.
        metadata: Metadata that the files lack and the code of the project
            shows, for networks for images of ImageNet's size.
    """

    name: str
    online: str
    momentum: str | None = None
    mixed: bool = False
    metadata: Mapping[str, Any] = {}


FORMATS = (
    Format(OWN, 'backbone.', 'momentum_encoder.backbone.'),
    Format(
        'official SCE (CEA-LIST, eztorch)',
        'trunk.',
        'momentum_trunk.',
        metadata=IMAGENET,
    ),
    Format('MoCo v1 and v2', 'encoder_q.', 'encoder_k.', metadata=IMAGENET),
    Format('MoCo v3', 'base_encoder.', 'momentum_encoder.', metadata=IMAGENET),
    # mmengine's averaged model copies the buffers of the online branch.
    Format('MoCo of mmpretrain', 'backbone.', 'encoder_k.module.0.', True),
    Format(
        'MoCo v3 of mmpretrain',
        'backbone.',
        'momentum_encoder.module.0.',
        True,
    ),
    Format('BYOL of mmpretrain', 'backbone.', 'target_net.module.0.', True),
    Format('MoCo of mmselfsup', 'backbone.', 'encoder_k.0.'),
    Format('BYOL of mmselfsup', 'backbone.', 'target_net.0.'),
    Format('lightly', 'backbone.', 'backbone_momentum.'),
    Format('DINO of lightly', 'student_backbone.', 'teacher_backbone.'),
    Format('torchvision detector', 'backbone.body.'),
    Format('DETR', 'backbone.0.body.'),
    Format('mmpretrain, mmselfsup or mmdet', 'backbone.'),
    Format('detectron2', ''),
    Format('bare backbone (exported, torchvision, timm)', ''),
)


def recognise(names: Iterable[str]) -> Format:
    """Format of a checkpoint with these tensors.

    Raises:
        CheckpointError: It is none that we know.
    """
    names = set(names)
    online = [f for f in FORMATS if _has(f, names, f.online)]
    for found in online:
        if found.momentum is None or _has(found, names, found.momentum):
            return found
    # A checkpoint of one branch alone, such as a released online trunk.
    if online:
        return online[0]._replace(momentum=None)
    seen = sorted({name.split('.')[0] + '.' for name in names})
    known = sorted({f.online or _BARE[0] for f in FORMATS})
    raise CheckpointError(
        f'no backbone found. The tensors begin with {", ".join(seen[:8])}; '
        f'expected one of {", ".join(known)}, of a ResNet with a '
        'single convolution as its stem'
    )


def select(
    tensors: Mapping[str, Tensor], branch: str
) -> tuple[Format, dict[str, Tensor]]:
    """Tensors of one branch of a checkpoint under bare names.

    Raises:
        CheckpointError: The format is unknown or has no such branch.
    """
    found = recognise(tensors)
    prefix = found.online if branch == 'online' else found.momentum
    if prefix is None:
        raise CheckpointError(
            f'a checkpoint of {found.name} has no {branch} branch'
        )
    backbone = {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
    return found, {
        name: tensor
        for name, tensor in bare_names(backbone).items()
        if found.name == OWN or not name.startswith('fc.')
    }


def bare_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of an exported file, of detectron2 or not, by bare names."""
    if set(_DETECTRON2) <= set(tensors):
        return {from_detectron2(k): v for k, v in tensors.items()}
    if _in_a_row(tensors, ''):
        return _named(tensors)
    return dict(tensors)


def _in_a_row(names: Iterable[str], prefix: str) -> bool:
    """Whether a ResNet is there whose children are numbered."""
    names = [n.removeprefix(prefix) for n in names if n.startswith(prefix)]
    return '0.weight' in names and any(map(_IN_A_ROW.fullmatch, names))


def _named(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of numbered children under the names that these had.

    ReLU and pooling have a number but no tensors, and the small networks of
    lightly have neither among their children: only the order counts.
    """
    numbers = sorted(
        {name.split('.')[0] for name in tensors},
        # Whatever has no number comes last.
        key=lambda name: int(name) if name.isdecimal() else 10**6,
    )
    children = ('conv1', 'bn1', 'layer1', 'layer2', 'layer3', 'layer4', 'fc')
    names = dict(zip(numbers, children, strict=False))
    renamed = {}
    for name, tensor in tensors.items():
        number, _, rest = name.replace('shortcut.', 'downsample.').partition(
            '.'
        )
        renamed[f'{names.get(number, number)}.{rest}'] = tensor
    return renamed


def _has(candidate: Format, names: set[str], prefix: str) -> bool:
    """Whether a branch is there; of our own, with any architecture."""
    if candidate.name == 'detectron2':
        return set(_DETECTRON2) <= names
    if prefix == 'backbone.' or candidate.name == OWN:
        return any(name.startswith(prefix) for name in names)
    bare = {prefix + name for name in _BARE}
    return bare <= names or _in_a_row(names, prefix)


# Names of a ResNet in detectron2: res2 is layer1, convN.norm is bnN.
_TO_DETECTRON2 = (
    (r'^(?!layer)', 'stem.'),
    (r'^layer(\d)', lambda match: f'res{int(match[1]) + 1}'),
    (r'\bbn(\d)\b', r'conv\1.norm'),
    (r'\bdownsample\.0\b', 'shortcut'),
    (r'\bdownsample\.1\b', 'shortcut.norm'),
)
_FROM_DETECTRON2 = (
    (r'^stem\.', ''),
    (r'^res(\d)', lambda match: f'layer{int(match[1]) - 1}'),
    (r'\bconv(\d)\.norm\b', r'bn\1'),
    (r'\bshortcut\.norm\b', 'downsample.1'),
    (r'\bshortcut\b', 'downsample.0'),
)


def to_detectron2(name: str) -> str:
    """Name of a tensor in detectron2.

    >>> to_detectron2('layer1.0.bn1.weight')
    'res2.0.conv1.norm.weight'
    """
    return _renamed(_TO_DETECTRON2, name)


def from_detectron2(name: str) -> str:
    """Name of a tensor of detectron2 here.

    >>> from_detectron2('res5.0.shortcut.weight')
    'layer4.0.downsample.0.weight'
    """
    return _renamed(_FROM_DETECTRON2, name)


def _renamed(rules: tuple, name: str) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name
