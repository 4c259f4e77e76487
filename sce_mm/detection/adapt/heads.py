"""Add norms to the neck and the heads of a detector's config."""

import math
from collections.abc import Iterator
from typing import Any

from ...downstream import ConfigEdits, type_name
from ...downstream.backbone import SYNC_BN

# mmcv's own synchronised norm cannot be built outside of a distributed run.
BATCH_NORMS = ('BN', 'SyncBN', 'MMSyncBN')
PYRAMIDS = ('FPN', 'PAFPN')
CONV_BOX_HEADS = ('ConvFCBBoxHead', 'Shared4Conv1FCBBoxHead')


def adapt_pyramids(edits: ConfigEdits) -> None:
    """Give a norm to feature pyramids without one.

    The scale of self-supervised features is not that of supervised ones, for
    which those parts were tuned; convolutions with random weights need a norm
    between them. Parts that have a norm keep it, and parts of types not
    named here are left as they are.
    """
    for path, neck in _parts(edits, 'model.neck'):
        if type_name(neck) in PYRAMIDS:
            reason = 'lateral and output convolutions start at random'
            _give_norm(edits, path, reason)


def adapt_heads(edits: ConfigEdits) -> None:
    """Give a norm to box, mask and RetinaNet heads, as to pyramids."""
    reason = 'norm between the convolutions of the head'
    for path, head in _parts(edits, 'model.roi_head.bbox_head'):
        if type_name(head) == 'Shared2FCBBoxHead':
            _convolve(edits, path)
        if type_name(edits.get(path)) in CONV_BOX_HEADS:
            _give_norm(edits, path, reason)
    for path, head in _parts(edits, 'model.roi_head.mask_head'):
        # The C4 kind has none: its norm is that of the shared head.
        if type_name(head) == 'FCNMaskHead' and head.get('num_convs', 4) > 0:
            _give_norm(edits, path, reason)
    for path, head in _parts(edits, 'model.bbox_head'):
        if type_name(head) == 'RetinaHead':
            groups = math.gcd(32, head.get('feat_channels', 256))
            _give_norm(
                edits,
                path,
                'one head for all levels: statistics of a batch would mix '
                'them, those of a group of channels do not',
                {'type': 'GN', 'num_groups': groups, 'requires_grad': True},
            )


def _parts(edits: ConfigEdits, path: str) -> Iterator[tuple[str, Any]]:
    """A part, or each of a list of parts, with its path."""
    value = edits.get(path)
    if isinstance(value, list | tuple):
        yield from ((f'{path}[{i}]', part) for i, part in enumerate(value))
    elif value is not None:
        yield path, value


def _give_norm(
    edits: ConfigEdits,
    path: str,
    reason: str,
    norm_cfg: dict[str, Any] = SYNC_BN,
) -> None:
    """Set a norm where there is none, or one that is not trained."""
    old = edits.get(f'{path}.norm_cfg')
    if old is not None:
        if type_name(old) not in BATCH_NORMS:
            return
        reason = 'batch norm trained, over all GPUs, and also without any'
    edits.set(f'{path}.norm_cfg', norm_cfg, reason)


def _convolve(edits: ConfigEdits, path: str) -> None:
    """Turn a box head of two layers into four convolutions and a layer."""
    head = edits.get(path)
    edits.set(
        f'{path}.type',
        'Shared4Conv1FCBBoxHead',
        'two fully connected layers have no place for a norm; four '
        'convolutions and one layer do, as in the published comparisons. They '
        "cost 9.2 times the arithmetic of the head at mmdet's sizes: 128 "
        'instead of 14 million multiplications a region. --keep-heads leaves '
        'all heads as they are',
    )
    if head.get('conv_out_channels') is None:
        width = head.get('in_channels', 256)
        edits.set(f'{path}.conv_out_channels', width, 'as wide as its input')
