"""Add norms to the heads of a detector's config.

Heads that have a norm, in the config or by default, keep it.
"""

import math
from typing import Any

from mmdet.models.dense_heads import RPNHead
from mmdet.models.roi_heads.roi_extractors.base_roi_extractor import (
    BaseRoIExtractor,
)
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from ...config.parts import type_name
from ...downstream import ConfigEdits
from ...downstream.edits import parts_at
from ...downstream.norms import give_norm
from ...downstream.part_classes import is_one_of, setting_of

# All with their subclasses.
BOX_HEADS = ('ConvFCBBoxHead', 'SABLHead')
MASK_HEADS = ('FCNMaskHead',)
# One head for all levels of a pyramid.
DENSE_HEADS = (
    'AnchorFreeHead',
    'GARetinaHead',
    'RetinaHead',
    'SABLRetinaHead',
    'YOLACTHead',
)
# Follows features that went through layer norms.
NORMED_MASK_HEADS = ('DynamicMaskHead',)
NORMS = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LayerNorm)


def adapt_heads(edits: ConfigEdits) -> None:
    """Give a norm to heads of regions and of pyramids without one."""
    reason = 'norm between the convolutions of the head'
    for path, head in parts_at(edits, 'model.roi_head.bbox_head'):
        if type_name(head) == 'Shared2FCBBoxHead':
            _convolve(edits, path)
        if _has_convolutions(edits.get(path)):
            give_norm(edits, path, reason)
    for path, head in parts_at(edits, 'model.roi_head.mask_head'):
        # The C4 kind has none: its norm is that of the shared head.
        if (
            is_one_of(head, MASK_HEADS)
            and not is_one_of(head, NORMED_MASK_HEADS)
            and setting_of(head, 'num_convs')
        ):
            give_norm(edits, path, reason)
    for path, head in parts_at(edits, 'model.bbox_head'):
        if is_one_of(head, DENSE_HEADS):
            # Two channels of a group or more: one pixel has statistics.
            width = setting_of(head, 'feat_channels')
            groups = math.gcd(32, width if width > 32 else width // 2)
            give_norm(
                edits,
                path,
                'one head for all levels: statistics of a batch would mix '
                'them, those of a group of channels do not',
                {'type': 'GN', 'num_groups': groups, 'requires_grad': True},
            )


def note_missing_norms(edits: ConfigEdits, model: nn.Module) -> None:
    """Note necks and heads that are left without any norm.

    Region proposal networks are not named: they have none in the published
    comparisons either. Nor are what cuts regions out, single layers, and
    heads of transformers, which have their norms in the decoder.

    Args:
        edits: The config.
        model: The model that it builds.
    """
    parts = [(f'model.{n}', m) for n, m in model.named_children()]
    heads = getattr(model, 'roi_head', nn.Module()).named_children()
    of_regions = [(f'model.roi_head.{n}', m) for n, m in heads]
    for where, part in parts + of_regions:
        if isinstance(part, BaseRoIExtractor | RPNHead):
            continue
        modules = [*part.modules()]
        convolutions = any(
            isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1)
            for m in modules
        )
        layers = sum(isinstance(m, nn.Linear) for m in modules)
        normed = any(isinstance(m, NORMS) for m in modules)
        several = convolutions or (layers > 2 and (where, part) in of_regions)
        if several and not normed:
            edits.notes.append(f'{where} has no norm')


def _has_convolutions(head: Any) -> bool:
    """Whether a box head has convolutions for a norm to follow."""
    if type_name(head) in ('Shared4Conv1FCBBoxHead', 'SABLHead'):
        return True
    counts = ('num_shared_convs', 'num_cls_convs', 'num_reg_convs')
    return is_one_of(head, BOX_HEADS) and any(
        setting_of(head, name) for name in counts
    )


def _convolve(edits: ConfigEdits, path: str) -> None:
    """Turn a box head of two layers into four convolutions and a layer."""
    head = edits.get(path)
    edits.set(
        f'{path}.type',
        'Shared4Conv1FCBBoxHead',
        'two fully connected layers have no place for a norm; four '
        'convolutions and one layer do, as in the published comparisons. On '
        'a pyramid of 256 channels that is 9.2 times the arithmetic of the '
        'head: 128 instead of 14 million multiplications a region. '
        '--keep-heads leaves all heads as they are',
    )
    if head.get('conv_out_channels') is None:
        # Those of a dilated last stage, of 2048, would be 250 million weights.
        width = min(head.get('in_channels', 256), 256)
        reason = 'as wide as its input, and no wider than 256'
        edits.set(f'{path}.conv_out_channels', width, reason)
