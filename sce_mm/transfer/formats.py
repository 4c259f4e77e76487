"""Where the backbone lies in the checkpoints of different code bases."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from ..checkpoints.errors import CheckpointError
from .architecture import refuse_others
from .detectron2_names import from_detectron2

# Tensors that every ResNet has, whatever its depth.
_BARE = ('conv1.weight', 'layer1.0.conv1.weight')
_DETECTRON2 = ('stem.conv1.weight', 'res2.0.conv1.weight')
# Of nn.Sequential(*list(resnet.children())[:-1]), as in lightly's tutorials:
# stem and norm come first, the stages follow in their order.
_IN_A_ROW = re.compile(r'(\d+)\.(\d+\.conv1\.weight)')

OWN = 'sce_mm pretraining'

# What the code of these projects feeds to networks for 224-pixel images.
IMAGENET_FACTS: Mapping[str, Any] = {
    'channel_order': 'rgb',
    'mean': [123.675, 116.28, 103.53],
    'std': [58.395, 57.12, 57.375],
    'style': 'pytorch',
}


class Format(NamedTuple):
    """Where one code base keeps its backbones.

    Attributes:
        name: For messages.
        prefixes: Of each branch; the prefix is exact.
        dropped: Beginnings, after the prefix, of what is not backbone.
        mixed: Branches with the parameters of one network and the batch norm
            statistics of another.
        facts: What the files do not say, but the code of the project does,
            of networks for images of ImageNet's size.
        in_a_row: The backbone is an ``nn.Sequential``, numbers for names.
    """

    name: str
    prefixes: Mapping[str, str]
    dropped: tuple[str, ...] = ()
    mixed: tuple[str, ...] = ()
    facts: Mapping[str, Any] = {}
    in_a_row: bool = False


def _averaged(name: str, momentum: str, mixed: bool) -> Format:
    """A momentum branch of mmpretrain or mmselfsup."""
    return Format(
        name,
        {'online': 'backbone.', 'momentum': momentum},
        mixed=('momentum',) if mixed else (),
    )


FORMATS = (
    Format(
        OWN, {'online': 'backbone.', 'momentum': 'momentum_encoder.backbone.'}
    ),
    Format(
        'official SCE (CEA-LIST, eztorch)',
        {'online': 'trunk.', 'momentum': 'momentum_trunk.'},
        ('fc.',),
        facts=IMAGENET_FACTS,
    ),
    Format(
        'MoCo v1 and v2',
        {'online': 'encoder_q.', 'momentum': 'encoder_k.'},
        ('fc.',),
        facts=IMAGENET_FACTS,
    ),
    Format(
        'MoCo v3',
        {'online': 'base_encoder.', 'momentum': 'momentum_encoder.'},
        ('fc.',),
        facts=IMAGENET_FACTS,
    ),
    # mmengine's averaged model copies the buffers of the online branch.
    _averaged('MoCo of mmpretrain', 'encoder_k.module.0.', True),
    _averaged('MoCo v3 of mmpretrain', 'momentum_encoder.module.0.', True),
    _averaged('BYOL of mmpretrain', 'target_net.module.0.', True),
    _averaged('MoCo of mmselfsup', 'encoder_k.0.', False),
    _averaged('BYOL of mmselfsup', 'target_net.0.', False),
    Format(
        'lightly',
        {'online': 'backbone.', 'momentum': 'backbone_momentum.'},
        ('fc.',),
        in_a_row=True,
    ),
    Format(
        'DINO of lightly',
        {'online': 'student_backbone.', 'momentum': 'teacher_backbone.'},
        ('fc.',),
        in_a_row=True,
    ),
    Format('torchvision detector', {'online': 'backbone.body.'}),
    Format('DETR', {'online': 'backbone.0.body.'}),
    Format(
        'ResNet in a row', {'online': 'backbone.'}, ('fc.',), in_a_row=True
    ),
    Format('mmpretrain, mmselfsup or mmdet', {'online': 'backbone.'}),
    Format('ResNet in a row', {'online': ''}, ('fc.',), in_a_row=True),
    Format('detectron2', {'online': ''}, ('fc.',)),
    Format(
        'bare backbone (exported, torchvision, timm)', {'online': ''}, ('fc.',)
    ),
)


def recognise(names: Iterable[str]) -> Format:
    """Format of a checkpoint with these tensors.

    Raises:
        CheckpointError: It is none that we know.
    """
    names = set(names)
    for candidate in FORMATS:
        if all(
            _has(candidate, names, prefix)
            for prefix in candidate.prefixes.values()
        ):
            return candidate
    # A checkpoint of one branch alone, such as a released online trunk.
    for candidate in FORMATS:
        if _has(candidate, names, candidate.prefixes['online']):
            return candidate._replace(
                prefixes={'online': candidate.prefixes['online']}
            )
    seen = sorted({name.split('.')[0] + '.' for name in names})
    if set(seen) <= {'head.', 'fc.', 'neck.', 'classifier.', 'projector.'}:
        raise CheckpointError(
            f'no backbone found, only a head ({", ".join(seen)}): name the '
            'checkpoint of the whole network'
        )
    refuse_others(sorted(names))
    known = sorted({f.prefixes['online'] or _BARE[0] for f in FORMATS})
    raise CheckpointError(
        f'no backbone found. The tensors begin with {", ".join(seen[:8])}; '
        f'expected one of {", ".join(known)}'
    )


def select(
    tensors: Mapping[str, Tensor], branch: str
) -> tuple[Format, dict[str, Tensor]]:
    """Tensors of one branch under bare names.

    Args:
        tensors: All of a checkpoint.
        branch: ``'online'`` or ``'momentum'``.

    Raises:
        CheckpointError: The format is unknown or has no such branch.
    """
    found = recognise(tensors)
    if branch not in found.prefixes:
        raise CheckpointError(
            f'a checkpoint of {found.name} has no {branch} branch; it has '
            f'{", ".join(found.prefixes)}'
        )
    prefix = found.prefixes[branch]
    backbone = {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
    return found, {
        name: tensor
        for name, tensor in bare_names(backbone).items()
        if not name.startswith(found.dropped)
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
    numbers = sorted({n.split('.')[0] for n in tensors}, key=_number)
    children = ('conv1', 'bn1', 'layer1', 'layer2', 'layer3', 'layer4', 'fc')
    names = dict(zip(numbers, children, strict=False))
    renamed = {}
    for name, tensor in tensors.items():
        number, _, rest = name.partition('.')
        rest = rest.replace('shortcut.', 'downsample.')
        renamed[f'{names.get(number, number)}.{rest}'] = tensor
    return renamed


def _number(name: str) -> int:
    """Place of a child; whatever has no number comes last."""
    return int(name) if name.isdecimal() else 10**6


def _has(candidate: Format, names: set[str], prefix: str) -> bool:
    """Whether a branch is there; of our own, with any architecture."""
    if candidate.name == 'detectron2':
        return set(_DETECTRON2) <= names
    if candidate.in_a_row:
        return _in_a_row(names, prefix)
    if prefix == 'backbone.' or candidate.name == OWN:
        return any(name.startswith(prefix) for name in names)
    whole = {prefix + name for name in _BARE} <= names
    return whole or _in_a_row(names, prefix)
