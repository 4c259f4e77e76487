"""Norms in what is new in a detector: neck and heads."""

import math
from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from .backbone import SYNC_BN
from .plan import ABSENT, Plan, kind

# mmcv's own synchronised norm cannot be built outside of a distributed run.
BATCH_NORMS = ('BN', 'SyncBN', 'MMSyncBN')
PYRAMIDS = ('FPN', 'PAFPN')
CONV_BOX_HEADS = ('ConvFCBBoxHead', 'Shared4Conv1FCBBoxHead')
# Not heads, or dealt with elsewhere.
OTHERS = (
    'backbone',
    'data_preprocessor',
    'roi_head',
    'shared_head',
    'bbox_roi_extractor',
    'mask_roi_extractor',
)
NORMS = (_BatchNorm, nn.GroupNorm, nn.LayerNorm)


def adapt_pyramids(plan: Plan) -> None:
    """Give a norm to feature pyramids without one.

    The scale of self-supervised features is not that of supervised ones, for
    which those parts were tuned; convolutions that begin at random need a
    norm between them. Parts that have a norm keep it, and parts of kinds not
    named here are left as they are.
    """
    for path, neck in entries(plan, 'model.neck'):
        if kind(neck) in PYRAMIDS:
            _give(plan, path, 'lateral and output convolutions begin anew')


def adapt_heads(plan: Plan) -> None:
    """Give a norm to box, mask and RetinaNet heads, as to pyramids."""
    for path, head in entries(plan, 'model.roi_head.bbox_head'):
        if kind(head) == 'Shared2FCBBoxHead':
            _convolve(plan, path)
        if kind(plan.get(path)) in CONV_BOX_HEADS:
            _give(plan, path, 'norm between the convolutions of the head')
    for path, head in entries(plan, 'model.roi_head.mask_head'):
        # The C4 kind has none: its norm is that of the shared head.
        if kind(head) == 'FCNMaskHead' and head.get('num_convs', 4) > 0:
            _give(plan, path, 'norm between the convolutions of the head')
    for path, head in entries(plan, 'model.bbox_head'):
        if kind(head) == 'RetinaHead':
            groups = math.gcd(32, head.get('feat_channels', 256))
            _give(
                plan,
                path,
                'one head for all levels: statistics of a batch would mix '
                'them, those of a group of channels do not',
                {'type': 'GN', 'num_groups': groups, 'requires_grad': True},
            )


def entries(plan: Plan, path: str) -> Iterator[tuple[str, Any]]:
    """A part, or each of a list of parts, with its path."""
    value = plan.get(path)
    if isinstance(value, list | tuple):
        yield from ((f'{path}[{i}]', part) for i, part in enumerate(value))
    elif value is not ABSENT and value is not None:
        yield path, value


def note_norms(plan: Plan, model: nn.Module) -> None:
    """Say of each part that was given no norm which ones it has."""
    given = [
        change.path.removesuffix('.norm_cfg')
        for change in plan.changes
        if change.path.endswith('.norm_cfg')
    ]
    roi_head = getattr(model, 'roi_head', nn.Module())
    for owner, prefix in ((model, 'model.'), (roi_head, 'model.roi_head.')):
        for name, part in owner.named_children():
            path = prefix + name
            if name in OTHERS or path in {g.split('[')[0] for g in given}:
                continue
            # A loss is a module as well.
            if not any(True for _ in part.parameters()):
                continue
            found = {
                type(m).__name__
                for m in part.modules()
                if isinstance(m, NORMS)
            }
            plan.notes.append(
                f'{path} ({type(part).__name__}): '
                + (', '.join(sorted(found)) or 'no norm')
            )


def _give(
    plan: Plan, path: str, reason: str, norm_cfg: dict[str, Any] = SYNC_BN
) -> None:
    """Set a norm where there is none, or one that is not trained."""
    old = plan.get(f'{path}.norm_cfg')
    if old not in (ABSENT, None):
        if kind(old) not in BATCH_NORMS:
            return
        reason = 'batch norm trained, over all GPUs, and also without any'
    plan.set(f'{path}.norm_cfg', norm_cfg, reason)


def _convolve(plan: Plan, path: str) -> None:
    head = plan.get(path)
    channels = head.get('in_channels', 256)
    width = head.get('conv_out_channels') or channels
    before, after = _multiplications(head, width)
    reason = (
        'two fully connected layers have no place for a norm; four '
        'convolutions and one layer do, as in the published comparisons. They '
        f'cost {after / before:.1f} times the arithmetic of the head: '
        f'{after / 1e6:.1f} instead of {before / 1e6:.1f} million '
        'multiplications a region. --keep-heads leaves all heads as they are'
    )
    plan.set(f'{path}.type', 'Shared4Conv1FCBBoxHead', reason)
    if head.get('conv_out_channels') is None:
        plan.set(f'{path}.conv_out_channels', channels, 'as wide as its input')


def _multiplications(head: dict[str, Any], width: int) -> tuple[int, int]:
    """Of one region, with two layers and with four convolutions and one."""
    channels = head.get('in_channels', 256)
    size = head.get('roi_feat_size', 7)
    area = size**2 if isinstance(size, int) else math.prod(size)
    features = head.get('fc_out_channels', 1024)
    layers = channels * area * features + features**2
    convolutions = 9 * (channels + 3 * width) * width * area
    return layers, convolutions + width * area * features
