"""Add norms to the heads of a detector's config."""

import math

from ...downstream import ConfigEdits, type_name
from ...downstream.norms import give_norm, parts_at

CONV_BOX_HEADS = ('ConvFCBBoxHead', 'Shared4Conv1FCBBoxHead')


def adapt_heads(edits: ConfigEdits) -> None:
    """Give a norm to box, mask and RetinaNet heads, as to pyramids."""
    reason = 'norm between the convolutions of the head'
    for path, head in parts_at(edits, 'model.roi_head.bbox_head'):
        if type_name(head) == 'Shared2FCBBoxHead':
            _convolve(edits, path)
        if type_name(edits.get(path)) in CONV_BOX_HEADS:
            give_norm(edits, path, reason)
    for path, head in parts_at(edits, 'model.roi_head.mask_head'):
        # The C4 kind has none: its norm is that of the shared head.
        if type_name(head) == 'FCNMaskHead' and head.get('num_convs', 4) > 0:
            give_norm(edits, path, reason)
    for path, head in parts_at(edits, 'model.bbox_head'):
        if type_name(head) == 'RetinaHead':
            groups = math.gcd(32, head.get('feat_channels', 256))
            give_norm(
                edits,
                path,
                'one head for all levels: statistics of a batch would mix '
                'them, those of a group of channels do not',
                {'type': 'GN', 'num_groups': groups, 'requires_grad': True},
            )


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
