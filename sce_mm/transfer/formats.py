"""Checkpoint formats: where each code base keeps its backbone.

To read the checkpoints of another code base, add a :class:`Format`; how
libraries name the tensors of a network is said in ``networks``.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from ..checkpoints.errors import EXTRACT, CheckpointError
from ..checkpoints.state_dicts import COUNTER, shape_mismatches
from ..utils.progress import warn
from .networks.architecture import Naming
from .networks.families import FAMILIES, naming_of
from .networks.resnet import DETECTRON2

OWN = 'sce_mm pretraining'

# Before the names of a feature pyramid, in a training and in a backbone file.
PYRAMID = 'pyramid.'

# What the code of these projects feeds to networks for 224-pixel images.
IMAGENET: Mapping[str, Any] = {
    'channel_order': 'rgb',
    'mean': [123.675, 116.28, 103.53],
    'std': [58.395, 57.12, 57.375],
    'style': 'pytorch',
}

# Prefixes of the tensors of a network that holds another library's.
_INNER = ('', 'timm_model.')

# Prefixes that a message can show. What a network of timm computes does not
# show in its tensors: none of these is taken without a config.
_PREFIX = re.compile(r'(?!.*timm_model\.)[\w.]{2,60}', re.ASCII)

_OUTPUT_NORM = re.compile(r'norm\d+\.(weight|bias)')


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
        naming: The only names of tensors that it has, if there is but one.
    """

    name: str
    online: str
    momentum: str | None = None
    mixed: bool = False
    metadata: Mapping[str, Any] = {}
    naming: Naming | None = None


FORMATS = (
    Format(OWN, 'backbone.', 'momentum_encoder.backbone.'),
    Format(
        'official SCE (CEA-LIST, eztorch)',
        'trunk.',
        'momentum_trunk.',
        metadata=IMAGENET,
    ),
    Format('MoCo v1 and v2', 'encoder_q.', 'encoder_k.', metadata=IMAGENET),
    Format(
        'MoCo v3',
        'base_encoder.',
        'momentum_encoder.',
        # Its ViT-S has 12 heads as well, not the 6 of timm and DeiT.
        metadata={**IMAGENET, 'num_heads': 12},
    ),
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
    Format('DINO and iBOT', 'student/backbone.', 'teacher/backbone.'),
    Format('solo-learn', 'backbone.', 'momentum_backbone.'),
    Format('MAE of lightly', 'backbone.vit.'),
    Format('detectron2 detector', 'backbone.bottom_up.'),
    Format('torchvision detector', 'backbone.body.'),
    Format('DETR', 'backbone.0.body.'),
    Format('mmpretrain, mmselfsup or mmdet', 'backbone.'),
    Format('detectron2', '', naming=DETECTRON2),
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
    others = [
        prefix
        for prefix, bare in _below_each(names).items()
        if naming_of(bare) is not None
    ]
    if others:
        return _of_unknown_prefix(others)
    seen = sorted({name.split('.')[0] + '.' for name in names})
    prefixes = sorted({f.online for f in FORMATS if f.online})
    families = ', '.join(f'a {family.name}' for family in FAMILIES)
    raise CheckpointError(
        f'no backbone found. The tensors begin with {", ".join(seen[:8])}; '
        f'expected one of {", ".join(prefixes)}, or no prefix, and then the '
        f'tensors of {families}. For another network name a config that has '
        f'it, under the same names: {EXTRACT} --network CONFIG'
    )


def _below_each(names: Iterable[str]) -> dict[str, set[str]]:
    """Names below each prefix of a few parts, without it."""
    found: dict[str, set[str]] = {}
    for name in names:
        parts = name.split('.')
        for count in range(1, min(len(parts), 4)):
            prefix = '.'.join(parts[:count]) + '.'
            if _PREFIX.fullmatch(prefix):
                found.setdefault(prefix, set()).add(name[len(prefix) :])
    return found


def _of_unknown_prefix(prefixes: Collection[str]) -> Format:
    """Format of a file with a network below one prefix that is not known.

    Raises:
        CheckpointError: There are several.
    """
    if len(prefixes) > 1:
        raise CheckpointError(
            f'{len(prefixes)} networks are in the file, below '
            f'{", ".join(sorted(prefixes))}, and which of them counts is not '
            'known: save the tensors of one of them alone, without that prefix'
        )
    (prefix,) = prefixes
    return Format(f'network below {prefix}', prefix)


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
    _require_statistics(found, branch)
    backbone = below(tensors, prefix)
    # Our own files may be of any network, under its own names.
    network = None if found.name == OWN else naming_of(backbone)
    return found, network[1].translated(backbone) if network else backbone


def select_pyramid(
    found: Format, tensors: Mapping[str, Tensor], branch: str
) -> dict[str, Tensor]:
    """Pyramid of one branch of our own training under bare names.

    Empty if it had none, and for what others made.
    """
    prefix = found.online if branch == 'online' else found.momentum
    if found.name != OWN or prefix is None:
        return {}
    return below(tensors, prefix.replace('backbone.', PYRAMID))


def is_whole_pretraining(names: Collection[str]) -> bool:
    """Whether these are the tensors of both branches of our own training.

    Checkpoints of others have a momentum branch too, under other names.
    """
    own = FORMATS[0]
    return all(
        any(name.startswith(prefix) for name in names)
        for prefix in (own.online, str(own.momentum))
    )


def branches_alike(tensors: Mapping[str, Tensor]) -> bool:
    """Whether both branches of our own training have the same tensors."""
    own = FORMATS[0]
    online = below(tensors, own.online)
    return bool(online) and not shape_mismatches(
        online, below(tensors, str(own.momentum))
    )


def select_for(
    network: nn.Module, tensors: Mapping[str, Tensor], branch: str
) -> tuple[Format, dict[str, Tensor]]:
    """Tensors of one branch that a network has places for, whatever it is.

    All of its tensors have to be there, under their names behind the prefix
    of a format, and its parts may have no others: those would be of a deeper
    network. A warning names the parts that it has no place for, such as a
    classifier.

    Raises:
        CheckpointError: Tensors are missing, of another shape, or more than
            the network has.
    """
    expected = network.state_dict()
    counters = {n: t for n, t in expected.items() if n.endswith(COUNTER)}
    best: dict[str, Tensor] = {}
    for found, tensors_there in _branches(tensors, branch, expected):
        for inner in _INNER:
            parts = {_part(name) for name in below(expected, inner)}
            names = {
                n: _flat(n.removeprefix(inner), parts) for n in tensors_there
            }
            inside = {
                f'{inner}{names[name]}': tensor
                for name, tensor in tensors_there.items()
                if _part(names[name]) in parts
            }
            weights = counters | inside
            if not shape_mismatches(expected, weights):
                _require_statistics(found, branch)
                _warn_of(n for n in names.values() if _part(n) not in parts)
                return found, {name: weights[name] for name in expected}
            best = max(best, inside, key=len)
    raise CheckpointError(
        f'the {branch} branch is not that of this '
        f'{type(network).__name__}:\n{shape_mismatches(expected, best)}'
    )


def differences(network: nn.Module, weights: Mapping[str, Tensor]) -> str:
    """Differences in names and shapes of a network and weights, or nothing.

    A network for detectors may have a norm for each of its outputs, which no
    pretraining has: these may be missing. It may also be the first parts of
    the whole, as where the last stage of a ResNet is in the head: further
    parts of the weights are no difference.
    """
    tensors = network.state_dict()
    parts = {_part(name) for name in tensors}
    expected = {
        name: tensor
        for name, tensor in tensors.items()
        if name in weights or not _OUTPUT_NORM.fullmatch(name)
    }
    found = {
        name: tensor
        for name, tensor in weights.items()
        if _part(name) in parts or _OUTPUT_NORM.fullmatch(name)
    }
    return shape_mismatches(expected, found)


def _flat(name: str, parts: Collection[str]) -> str:
    """Name of a tensor where timm has made a row of parts into parts.

    It does so with ``features_only``: ``stages.0`` becomes ``stages_0``.
    """
    flat = name.replace('.', '_', 1)
    return flat if _part(flat) in parts else name


def _part(name: str) -> str:
    """Part of a network that a tensor is in: what stands before the dot."""
    return name.partition('.')[0]


def _require_statistics(found: Format, branch: str) -> None:
    if branch == 'momentum' and found.mixed:
        raise CheckpointError(
            f'the momentum branch of {found.name} has the batch norm '
            'statistics of the online branch, which do not belong to its '
            'weights: take the online branch'
        )


def _branches(
    tensors: Mapping[str, Tensor], branch: str, expected: Collection[str]
) -> Iterator[tuple[Format, dict[str, Tensor]]]:
    """Each format that a checkpoint may have, and the tensors of a branch.

    After the formats that are known, that of a network with the expected names
    below a prefix that is not.
    """
    for found in FORMATS:
        if found.naming:
            continue
        online = below(tensors, found.online)
        other = found.momentum and below(tensors, found.momentum)
        inside = online if branch == 'online' else other
        if online and inside and other != {}:
            yield found, inside
    tried = {prefix for f in FORMATS for prefix in (f.online, f.momentum)}
    names = {name for name in expected if not name.endswith(COUNTER)}
    wanted = [{n.removeprefix(inner) for n in names} for inner in _INNER]
    others = [
        prefix
        for prefix, bare in _below_each(tensors).items()
        if prefix not in tried and any(names <= bare for names in wanted)
    ]
    if others and branch == 'online':
        found = _of_unknown_prefix(others)
        yield found, below(tensors, found.online)


def below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Tensors whose names begin with a prefix, without it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _warn_of(rest: Iterable[str]) -> None:
    if parts := list(dict.fromkeys(map(_part, rest))):
        warn(
            'the network has no place for these parts of the file, which are '
            f'left out: {", ".join(parts)}'
        )


def _has(candidate: Format, names: set[str], prefix: str) -> bool:
    """Whether a branch is there; of our own, with any architecture."""
    if prefix == 'backbone.' or candidate.name == OWN:
        return any(name.startswith(prefix) for name in names)
    bare = {n.removeprefix(prefix) for n in names if n.startswith(prefix)}
    if candidate.naming:
        return candidate.naming.matches(bare)
    return naming_of(bare) is not None
