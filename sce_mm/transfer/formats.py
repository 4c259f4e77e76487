"""Where the backbone lies in the checkpoints of different code bases."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from torch import Tensor

from .checkpoint import CheckpointError

# Tensors that every ResNet has, whatever its depth.
_BARE = ('conv1.weight', 'layer1.0.conv1.weight')


class Format(NamedTuple):
    """Where one code base keeps its backbones.

    Attributes:
        name: For messages.
        prefixes: Of each branch; the prefix is exact.
        dropped: Beginnings, after the prefix, of what is not backbone.
    """

    name: str
    prefixes: Mapping[str, str]
    dropped: tuple[str, ...] = ()


FORMATS = (
    Format(
        'sce_mm pretraining',
        {'online': 'backbone.', 'momentum': 'momentum_encoder.backbone.'},
    ),
    Format(
        'official SCE (CEA-LIST, eztorch)',
        {'online': 'trunk.', 'momentum': 'momentum_trunk.'},
        ('fc.',),
    ),
    Format(
        'MoCo v1 and v2',
        {'online': 'module.encoder_q.', 'momentum': 'module.encoder_k.'},
        ('fc.',),
    ),
    Format(
        'MoCo v3',
        {
            'online': 'module.base_encoder.',
            'momentum': 'module.momentum_encoder.',
        },
        ('fc.',),
    ),
    Format('mmpretrain, mmselfsup or mmdet', {'online': 'backbone.'}),
    Format(
        'bare backbone (exported, torchvision, timm)', {'online': ''}, ('fc.',)
    ),
)


def recognise(names: Iterable[str]) -> Format:
    """Format of a checkpoint with these tensors.

    Raises:
        CheckpointError: It is none that we know.
    """
    names = list(names)
    for candidate in FORMATS:
        if all(_has(names, prefix) for prefix in candidate.prefixes.values()):
            return candidate
    # A checkpoint of one branch alone, such as a released online trunk.
    for candidate in FORMATS:
        if _has(names, candidate.prefixes['online']):
            return candidate._replace(
                prefixes={'online': candidate.prefixes['online']}
            )
    seen = sorted({name.split('.')[0] + '.' for name in names})
    known = sorted({f.prefixes['online'] or _BARE[0] for f in FORMATS})
    raise CheckpointError(
        f'no backbone found. The tensors begin with {", ".join(seen[:8])}; '
        f'expected one of {", ".join(known)}'
    )


def select(
    tensors: Mapping[str, Tensor], branch: str
) -> tuple[Format, dict[str, Tensor], list[str]]:
    """Tensors of one branch under bare names.

    Args:
        tensors: All tensors of a checkpoint.
        branch: ``'online'`` or ``'momentum'``.

    Returns:
        The format, the backbone, and the names that were left behind.

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
    backbone, left = {}, []
    for name, tensor in tensors.items():
        bare = name[len(prefix) :]
        if name.startswith(prefix) and not bare.startswith(found.dropped):
            backbone[bare] = tensor
        else:
            left.append(name)
    return found, backbone, left


def _has(names: Iterable[str], prefix: str) -> bool:
    if not prefix:
        return set(_BARE) <= set(names)
    return any(name.startswith(prefix) for name in names)
