"""The backbone, and the stage of it that is a head of regions."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdet.models.backbones import ResNet
from mmdet.registry import MODELS
from mmpretrain.models import ResNet as PretrainResNet
from torch import Tensor

from ...checkpoints.state_dicts import shape_mismatches
from ...transfer.named_weights import named_weights
from .plan import ABSENT, AdaptError, Plan, kind

BACKBONE = 'model.backbone'
SHARED_HEAD = 'model.roi_head.shared_head'
SYNC_BN = {'type': 'SyncBN', 'requires_grad': True}
# Arguments of a ResNet that make another function of the same weights, or
# want tensors that no pretraining has.
FOREIGN = {
    'dcn': 'deformable convolutions have tensors that no pretraining gives',
    'plugins': 'plugins have tensors that no pretraining gives',
    'conv_cfg': 'the weights are for plain convolutions',
    'sac': 'switchable convolutions have tensors that no pretraining gives',
}
# Beside the pretrained tensors: the norm after a shared head, and where the
# second backbone of a recursive pyramid takes in features.
NEW = ('.norm.', '.rfp_conv.')


def adapt_backbone(
    plan: Plan,
    path: Path,
    tensors: Mapping[str, Tensor],
    meta: Mapping[str, Any],
) -> None:
    """Load the file, train all of it.

    Raises:
        AdaptError: It is no ResNet, or not the one of the file.
    """
    _adapt_resnet(plan, BACKBONE, path, meta)
    taken = ''
    if isinstance(plan.get(SHARED_HEAD), dict):
        _adapt_shared_head(plan, path, meta)
        stage = plan.get(f'{SHARED_HEAD}.stage')
        taken = f'layer{4 if stage is ABSENT else stage + 1}.'
        part = {k: v for k, v in tensors.items() if k.startswith(taken)}
        _check_fit(plan, SHARED_HEAD, part, meta)
    later = _later_stages(plan, BACKBONE)
    lost = [name for name in later if name != taken]
    if lost:
        raise AdaptError(
            f'{BACKBONE} has no place for {lost[0][:-1]}, nor has a '
            f'{SHARED_HEAD}: part of the file would be lost'
        )
    own = {k: v for k, v in tensors.items() if not k.startswith(later)}
    _check_fit(plan, BACKBONE, own, meta)


def adapt_other_loads(
    plan: Plan,
    path: Path,
    tensors: Mapping[str, Tensor],
    meta: Mapping[str, Any],
) -> None:
    """Whatever else in the config loads weights.

    A second backbone is treated as the first where the file fits it. Of
    everything else is noted what it loads.
    """
    for where, value in list(named_weights(plan.cfg)):
        owner = re.sub(r'\.(init_cfg\b.*|pretrained)$', '', where)
        if plan.get(where) in (None, ABSENT) or value == str(path):
            continue
        reason = ''
        if owner != where and _is_resnet(plan, owner):
            try:
                # On a copy first: a part of it would be worse than nothing.
                _adapt_second(Plan(plan.cfg), owner, path, tensors, meta)
            except AdaptError as error:
                reason = _as_it_is(plan, owner, error)
            else:
                _adapt_second(plan, owner, path, tensors, meta)
                continue
        plan.notes.append(f'{where} loads {value}, not this file{reason}')


def _as_it_is(plan: Plan, where: str, error: AdaptError) -> str:
    settings = ', '.join(
        f'{name}={plan.get(f"{where}.{name}")}'
        for name in ('frozen_stages', 'norm_eval')
    )
    return f' ({settings}): {str(error).splitlines()[0].rstrip(":")}'


def _adapt_second(
    plan: Plan,
    where: str,
    path: Path,
    tensors: Mapping[str, Tensor],
    meta: Mapping[str, Any],
) -> None:
    _adapt_resnet(plan, where, path, meta)
    later = _later_stages(plan, where)
    own = {k: v for k, v in tensors.items() if not k.startswith(later)}
    _check_fit(plan, where, own, meta)


def _adapt_resnet(
    plan: Plan, where: str, path: Path, meta: Mapping[str, Any]
) -> None:
    _check_kind(plan, where)
    _load_and_train(plan, where, path, meta)
    plan.set(
        f'{where}.frozen_stages',
        -1,
        'nothing frozen: 0 would still freeze the stem, and early layers '
        'of such weights have to move',
    )


def _later_stages(plan: Plan, where: str) -> tuple[str, ...]:
    """Beginnings of names of the stages that a ResNet does not have."""
    stages = plan.get(f'{where}.num_stages')
    stages = 4 if stages is ABSENT else stages
    return tuple(f'layer{n}.' for n in range(stages + 1, 5))


def _is_resnet(plan: Plan, where: str) -> bool:
    name = plan.get(f'{where}.type')
    cls = None if name is ABSENT else MODELS.get(name)
    return isinstance(cls, type) and issubclass(cls, ResNet | PretrainResNet)


def _check_kind(plan: Plan, where: str) -> None:
    if not _is_resnet(plan, where):
        raise AdaptError(
            f'{where} is a {kind(plan.get(where))}, and the weights '
            'are of a ResNet: take a config of the same detector with a ResNet'
        )
    for name, why in FOREIGN.items():
        for path in (where, SHARED_HEAD):
            value = plan.get(f'{path}.{name}')
            if value in (ABSENT, None) or kind(value) in ('Conv', 'Conv2d'):
                continue
            raise AdaptError(
                f'{path} has {name}={value}: {why}. Take it out, or take a '
                'config without it'
            )


def _load_and_train(
    plan: Plan, where: str, path: Path, meta: Mapping[str, Any]
) -> None:
    if plan.get(f'{where}.pretrained') not in (ABSENT, None):
        plan.set(f'{where}.pretrained', None, 'old spelling of init_cfg')
    plan.set(
        f'{where}.init_cfg',
        {'type': 'Pretrained', 'checkpoint': str(path)},
        'these weights',
    )
    plan.set(
        f'{where}.norm_cfg',
        SYNC_BN,
        'batch norm trained, over all GPUs (plain BN where there is one): '
        'frozen, it suits supervised weights alone',
    )
    plan.set(
        f'{where}.norm_eval',
        False,
        'stored statistics are those of the pretraining images, and features '
        'drift from them',
    )
    plan.set(
        f'{where}.style',
        meta['style'],
        'strides where they were in the pretraining',
    )


def _adapt_shared_head(
    plan: Plan, path: Path, meta: Mapping[str, Any]
) -> None:
    name = kind(plan.get(SHARED_HEAD))
    if name not in ('ResLayer', 'ResLayerExtraNorm'):
        raise AdaptError(
            f'{SHARED_HEAD} is a {name}: expected a ResLayer, which the last '
            'stage of the file can be loaded into'
        )
    plan.set(
        f'{SHARED_HEAD}.type',
        'ResLayerExtraNorm',
        'one more norm after the last stage, as its batch norm is trained',
    )
    _load_and_train(plan, SHARED_HEAD, path, meta)


def _check_fit(
    plan: Plan,
    where: str,
    tensors: Mapping[str, Tensor],
    meta: Mapping[str, Any],
) -> None:
    """Build the part and compare names and shapes with the file's."""
    module = MODELS.build(plan.get(where))
    expected = {
        name: tensor
        for name, tensor in module.state_dict().items()
        if not any(new in f'.{name}' for new in NEW)
    }
    difference = shape_mismatches(expected, tensors)
    if difference:
        source = meta['arch'] or 'of a kind that is not named'
        raise AdaptError(
            f'the weights ({source}) do not fit {where} '
            f'({kind(plan.get(where))}-{plan.get(f"{where}.depth")}):\n'
            f'{difference}'
        )
