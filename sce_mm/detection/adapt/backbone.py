"""The backbone, and the stage of it that is a head of regions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdet.models.backbones import ResNet
from mmdet.registry import MODELS
from mmpretrain.models import ResNet as PretrainResNet
from torch import Tensor

from ...transfer.compare import compare
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
}


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
    _check_kind(plan)
    _load_and_train(plan, BACKBONE, path, meta)
    plan.set(
        f'{BACKBONE}.frozen_stages',
        -1,
        'nothing frozen: 0 would still freeze the stem, and early layers '
        'of such weights have to move',
    )
    stages = plan.get(f'{BACKBONE}.num_stages')
    stages = 4 if stages is ABSENT else stages
    later = tuple(f'layer{n}.' for n in range(stages + 1, 5))
    taken = ''
    if isinstance(plan.get(SHARED_HEAD), dict):
        _adapt_shared_head(plan, path, meta)
        stage = plan.get(f'{SHARED_HEAD}.stage')
        taken = f'layer{4 if stage is ABSENT else stage + 1}.'
        part = {k: v for k, v in tensors.items() if k.startswith(taken)}
        _check_fit(plan, SHARED_HEAD, part, meta, left_out=('norm.',))
    lost = [name for name in later if name != taken]
    if lost:
        raise AdaptError(
            f'{BACKBONE} ends at stage {stages} and no {SHARED_HEAD} takes '
            f'{lost[0][:-1]}: part of the file would be lost'
        )
    own = {k: v for k, v in tensors.items() if not k.startswith(later)}
    _check_fit(plan, BACKBONE, own, meta)


def _check_kind(plan: Plan) -> None:
    cls = MODELS.get(plan.get(f'{BACKBONE}.type'))
    if cls is None or not issubclass(cls, ResNet | PretrainResNet):
        raise AdaptError(
            f'{BACKBONE} is a {kind(plan.get(BACKBONE))}, and the weights '
            'are of a ResNet: take a config of the same detector with a ResNet'
        )
    for name, why in FOREIGN.items():
        for path in (BACKBONE, SHARED_HEAD):
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
    left_out: tuple[str, ...] = (),
) -> None:
    """Build the part and compare names and shapes with the file's."""
    module = MODELS.build(plan.get(where))
    expected = {
        name: tensor
        for name, tensor in module.state_dict().items()
        if not name.startswith(left_out)
    }
    difference = compare(expected, tensors)
    if difference:
        source = meta['arch'] or 'of a kind that is not named'
        raise AdaptError(
            f'the weights ({source}) do not fit {where} '
            f'({kind(plan.get(where))}-{plan.get(f"{where}.depth")}):\n'
            f'{difference}'
        )
