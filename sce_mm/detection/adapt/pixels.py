"""Pixels as the weights know them."""

from collections.abc import Mapping
from typing import Any

from ...transfer.named_weights import transforms
from .plan import ABSENT, AdaptError, Plan, kind

PREPROCESSOR = 'model.data_preprocessor'
# Transforms after which a data preprocessor does not have the last word.
REFUSED = {
    'Normalize': 'it normalises pixels that the data preprocessor normalises '
    'as well: take it out of the pipeline',
    'LoadMultiChannelImageFromFiles': 'it stacks channels from several files',
}
# Transforms that fill with a colour of their own.
FILLING = ('Expand', 'RandomCenterCropPad')
COLOURED = ('color', 'color_ignore_orientation')


def adapt_pixels(plan: Plan, meta: Mapping[str, Any]) -> None:
    """Channel order, mean and std of the pretraining.

    Images are read in OpenCV's order, BGR, and the data preprocessor alone
    may swap and normalise; whatever else touches either is refused.

    Raises:
        AdaptError: The file does not say what it expects, or the config does
            it in a way that cannot be followed.
    """
    preprocessor = plan.get(PREPROCESSOR)
    if kind(preprocessor) != 'DetDataPreprocessor':
        raise AdaptError(
            f'{PREPROCESSOR} is of type {kind(preprocessor)}, and where that '
            'swaps and normalises channels is not known: expected '
            'DetDataPreprocessor'
        )
    for transform in transforms(plan.cfg._cfg_dict):
        _check(plan, transform)
    order = meta['channel_order']
    swap = order == 'rgb'
    reason = f'the weights were pretrained on {order.upper()} pixels'
    plan.set(f'{PREPROCESSOR}.bgr_to_rgb', swap, reason)
    if plan.get(f'{PREPROCESSOR}.rgb_to_bgr') is not ABSENT:
        plan.set(f'{PREPROCESSOR}.rgb_to_bgr', False, reason)
    for name in ('mean', 'std'):
        reason = f'{name} of the pretraining, in {order.upper()} order'
        plan.set(f'{PREPROCESSOR}.{name}', list(meta[name]), reason)


def _check(plan: Plan, transform: dict[str, Any]) -> None:
    name = kind(transform)
    if name in REFUSED:
        raise AdaptError(f'a pipeline has {name}: {REFUSED[name]}')
    colour = transform.get('color_type', 'color')
    if name == 'LoadImageFromFile' and colour not in COLOURED:
        raise AdaptError(
            f'a pipeline loads images with color_type={colour!r}: the '
            f'weights expect three colours, color_type in {COLOURED}'
        )
    note = f'{name} fills with a colour of its own: look at its mean'
    if name in FILLING and note not in plan.notes:
        plan.notes.append(note)
