"""Add norms to the neck and the heads of a detector's config.

The scale of self-supervised features is not that of supervised ones, for which
those parts were tuned; convolutions with random weights need a norm between
them. Parts that have a norm, in the config or by default, keep it.
"""

import inspect
import math
from collections.abc import Iterator
from typing import Any

from mmdet.registry import MODELS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from .backbone import SYNC_BN
from .edits import ConfigEdits, type_name

# mmcv's own synchronised norm cannot be built outside of a distributed run.
BATCH_NORMS = ('BN', 'SyncBN', 'MMSyncBN')
# These, with their subclasses, take a norm_cfg, and have none by default.
PYRAMIDS = ('FPN', 'FPN_CARAFE')
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
# Its convolutions are generated from features that went through layer norms.
OWN_NORMS = ('DynamicMaskHead',)
NORMS = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LayerNorm)


def adapt_pyramids(edits: ConfigEdits) -> None:
    """Give a norm to feature pyramids without one."""
    for path, neck in _parts(edits, 'model.neck'):
        if _is_one_of(neck, PYRAMIDS):
            reason = 'lateral and output convolutions start at random'
            _give_norm(edits, path, reason)


def adapt_heads(edits: ConfigEdits) -> None:
    """Give a norm to heads of regions and of pyramids without one."""
    reason = 'norm between the convolutions of the head'
    for path, head in _parts(edits, 'model.roi_head.bbox_head'):
        if type_name(head) == 'Shared2FCBBoxHead':
            _convolve(edits, path)
        head = edits.get(path)
        if _is_one_of(head, BOX_HEADS) and _convolves(head):
            _give_norm(edits, path, reason)
    for path, head in _parts(edits, 'model.roi_head.mask_head'):
        # The C4 kind has none: its norm is that of the shared head.
        if _is_one_of(head, MASK_HEADS) and _setting(head, 'num_convs'):
            _give_norm(edits, path, reason)
    for path, head in _parts(edits, 'model.bbox_head'):
        if _is_one_of(head, DENSE_HEADS):
            groups = math.gcd(32, _setting(head, 'feat_channels'))
            _give_norm(
                edits,
                path,
                'one head for all levels: statistics of a batch would mix '
                'them, those of a group of channels do not',
                {'type': 'GN', 'num_groups': groups, 'requires_grad': True},
            )


def note_missing_norms(edits: ConfigEdits, model: nn.Module) -> None:
    """Note necks and heads that are left without any norm.

    The region proposal network is not named: it has none in the published
    comparisons either. Nor are single layers, and heads of transformers,
    which have their norms in the decoder.
    """
    parts = [(f'model.{n}', m, False) for n, m in model.named_children()]
    for name, part in getattr(model, 'roi_head', nn.Module()).named_children():
        parts.append((f'model.roi_head.{name}', part, True))
    for where, part, of_regions in parts:
        modules = [*part.modules()]
        convs = sum(
            isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1)
            for m in modules
        )
        layers = sum(isinstance(m, nn.Linear) for m in modules)
        if any(isinstance(m, NORMS) for m in modules):
            continue
        if where != 'model.rpn_head' and (
            convs or (of_regions and layers > 2)
        ):
            kind = type_name(edits.get(where))
            edits.notes.append(f'{where} ({kind}) has no norm')


def _parts(edits: ConfigEdits, path: str) -> Iterator[tuple[str, Any]]:
    """A part, or each of a list of parts, with its path."""
    value = edits.get(path)
    if isinstance(value, list | tuple):
        yield from ((f'{path}[{i}]', part) for i, part in enumerate(value))
    elif value is not None:
        yield path, value


def _is_one_of(part: Any, names: tuple[str, ...]) -> bool:
    """Whether a part is of one of these classes or of a subclass of it."""
    classes = {cls.__name__ for cls in _classes(part)}
    return bool(classes & {*names}) and not classes & {*OWN_NORMS}


def _classes(part: Any) -> tuple[type, ...]:
    """Class of a part and all that it inherits from."""
    name = part.get('type') if isinstance(part, dict) else None
    found = MODELS.get(name) if isinstance(name, str) else name
    return inspect.getmro(found) if inspect.isclass(found) else ()


def _setting(part: Any, name: str) -> Any:
    """What a part has for an argument: of the config, or the default."""
    if name in part:
        return part[name]
    for cls in _classes(part):
        parameters = inspect.signature(cls.__init__).parameters
        if name in parameters and '__init__' in vars(cls):
            return parameters[name].default
    return None


def _convolves(head: Any) -> bool:
    """Whether a box head has convolutions for a norm to follow."""
    if type_name(head) == 'Shared4Conv1FCBBoxHead':
        return True
    counts = ('num_shared_convs', 'num_cls_convs', 'num_reg_convs')
    return not _is_one_of(head, ('ConvFCBBoxHead',)) or any(
        _setting(head, name) for name in counts
    )


def _give_norm(
    edits: ConfigEdits,
    path: str,
    reason: str,
    norm_cfg: dict[str, Any] = SYNC_BN,
) -> None:
    """Set a norm where there is none, or one that is not trained."""
    old = _setting(edits.get(path), 'norm_cfg')
    if old is not None:
        if type_name(old) not in BATCH_NORMS:
            return
        if norm_cfg == SYNC_BN:
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
