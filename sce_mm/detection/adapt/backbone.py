"""Load a backbone file into the ResNet of a detector, and train all of it.

That is the backbone, the last stage where it is the shared head of a C4
detector, and a second backbone such as that of a recursive pyramid.
"""

import re
from pathlib import Path
from typing import NamedTuple

from mmdet.models.backbones import ResNet
from mmdet.registry import MODELS
from mmpretrain.models import ResNet as PretrainResNet

from ...checkpoints.state_dicts import shape_mismatches
from ...transfer import Backbone
from ...transfer.named_weights import named_weights
from .edits import AdaptError, ConfigEdits, type_name

BACKBONE = 'model.backbone'
SHARED_HEAD = 'model.roi_head.shared_head'
SYNC_BN = {'type': 'SyncBN', 'requires_grad': True}
# Beside the pretrained tensors: the norm after a shared head, and where the
# second backbone of a recursive pyramid takes in features.
_NEW = ('.norm.', '.rfp_conv.')


class BackboneFile(NamedTuple):
    """A backbone and the absolute path of its file."""

    path: Path
    backbone: Backbone


def adapt_backbone(edits: ConfigEdits, file: BackboneFile) -> None:
    """Load the file into the backbone and, in a C4 detector, the shared head.

    Raises:
        AdaptError: It is no ResNet, or not the one of the file.
    """
    _load_into_resnet(edits, BACKBONE, file)
    in_head = ''
    if isinstance(edits.get(SHARED_HEAD), dict):
        name = type_name(edits.get(SHARED_HEAD))
        if name not in ('ResLayer', 'ResLayerExtraNorm'):
            raise AdaptError(
                f'{SHARED_HEAD} is a {name}: expected a ResLayer, which the '
                'last stage of the file can be loaded into'
            )
        edits.set(
            f'{SHARED_HEAD}.type',
            'ResLayerExtraNorm',
            'one more norm after the last stage, as its batch norm is trained',
        )
        _load_and_train(edits, SHARED_HEAD, file)
        stage = edits.get(f'{SHARED_HEAD}.stage')
        in_head = f'layer{4 if stage is None else stage + 1}.'
        _check_fit(edits, SHARED_HEAD, file, (in_head,))
    stages = _stages(edits, BACKBONE)
    needed = [f'layer{n}.' for n in range(1, 5)]
    if lost := [n for n in needed if n not in (*stages, in_head)]:
        raise AdaptError(
            f'{BACKBONE} has no place for {lost[0][:-1]}, nor has a '
            f'{SHARED_HEAD}: part of the file would be lost'
        )
    _check_fit(edits, BACKBONE, file, stages)


def adapt_other_loads(edits: ConfigEdits, file: BackboneFile) -> None:
    """Adapt whatever else in the config loads weights.

    A second backbone is treated as the first where the file fits it. A note
    says what everything else loads.
    """
    for where, value in list(named_weights(edits.cfg)):
        if edits.get(where) is None or value == str(file.path):
            continue
        owner = re.sub(r'\.(init_cfg\b.*|pretrained)$', '', where)
        reason = ''
        if owner != where and _is_resnet(edits, owner):
            # In a copy: a part of it would be worse than nothing.
            trial = ConfigEdits(edits.cfg)
            try:
                _load_into_resnet(trial, owner, file)
                _check_fit(trial, owner, file, _stages(trial, owner))
            except AdaptError as error:
                settings = ', '.join(
                    f'{name}={edits.get(f"{owner}.{name}")}'
                    for name in ('frozen_stages', 'norm_eval')
                )
                first = str(error).splitlines()[0].rstrip(':')
                reason = f' ({settings}): {first}'
            else:
                edits.cfg = trial.cfg
                edits.changes += trial.changes
                continue
        edits.notes.append(f'{where} loads {value}, not this file{reason}')


def _load_into_resnet(
    edits: ConfigEdits, where: str, file: BackboneFile
) -> None:
    if not _is_resnet(edits, where):
        raise AdaptError(
            f'{where} is a {type_name(edits.get(where))}, and the weights '
            'are of a ResNet: take a config of the same detector with a ResNet'
        )
    for path in (where, SHARED_HEAD):
        conv = edits.get(f'{path}.conv_cfg')
        if conv and type_name(conv) not in ('Conv', 'Conv2d'):
            raise AdaptError(
                f'{path} has conv_cfg={conv}: the weights are for plain '
                'convolutions. Take it out, or take a config without it'
            )
    _load_and_train(edits, where, file)
    edits.set(
        f'{where}.frozen_stages',
        -1,
        'nothing frozen: 0 would still freeze the stem, and early layers '
        'of such weights have to move',
    )


def _stages(edits: ConfigEdits, where: str) -> tuple[str, ...]:
    """Prefixes of the tensors of a ResNet with the stages that it has."""
    stages = edits.get(f'{where}.num_stages') or 4
    return ('', *(f'layer{n}.' for n in range(1, stages + 1)))


def _is_resnet(edits: ConfigEdits, where: str) -> bool:
    name = edits.get(f'{where}.type')
    cls = name and MODELS.get(name)
    return isinstance(cls, type) and issubclass(cls, ResNet | PretrainResNet)


def _load_and_train(
    edits: ConfigEdits, where: str, file: BackboneFile
) -> None:
    edits.set(f'{where}.pretrained', None, 'old spelling of init_cfg')
    init_cfg = {'type': 'Pretrained', 'checkpoint': str(file.path)}
    edits.set(f'{where}.init_cfg', init_cfg, 'these weights')
    edits.set(
        f'{where}.norm_cfg',
        SYNC_BN,
        'batch norm trained, over all GPUs (plain BN where there is one): '
        'frozen, it suits supervised weights alone',
    )
    edits.set(
        f'{where}.norm_eval',
        False,
        'stored statistics are those of the pretraining images, and features '
        'drift from them',
    )
    reason = 'strides where they were in the pretraining'
    edits.set(f'{where}.style', file.backbone.meta['style'], reason)


def _check_fit(
    edits: ConfigEdits,
    where: str,
    file: BackboneFile,
    prefixes: tuple[str, ...],
) -> None:
    """Build a part and compare its tensors with those of the file.

    The prefixes are those of its stages; an empty one is for other tensors.
    """
    found = {
        name: tensor
        for name, tensor in file.backbone.weights.items()
        if (re.match(r'layer\d\.', name) or [''])[0] in prefixes
    }
    module = MODELS.build(edits.get(where))
    expected = {
        name: tensor
        for name, tensor in module.state_dict().items()
        if not any(new in f'.{name}' for new in _NEW)
    }
    if difference := shape_mismatches(expected, found):
        source = file.backbone.meta['arch'] or 'of a kind that is not named'
        raise AdaptError(
            f'the weights ({source}) do not fit {where} '
            f'({type_name(edits.get(where))}-{edits.get(f"{where}.depth")}):\n'
            f'{difference}'
        )
