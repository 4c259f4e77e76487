"""Set pixel order, mean and std of a model as the pretraining had them."""

from collections.abc import Mapping
from typing import Any

from ..config.parts import type_name
from ..config.reading import typed_dicts
from ..transfer.verify.pipelines import (
    pipeline_problems,
    stretch_note,
    transform_problem,
)
from .edits import AdaptError, ConfigEdits
from .part_classes import is_one_of

PREPROCESSOR = 'model.data_preprocessor'


def adapt_pixels(
    edits: ConfigEdits, meta: Mapping[str, Any], preprocessor: str
) -> None:
    """Give the data preprocessor the pixel statistics of a backbone file.

    Images are read in OpenCV's order, BGR, and the data preprocessor alone
    may swap and normalise; whatever else touches either is refused.

    Args:
        edits: The config.
        meta: Metadata of the file.
        preprocessor: Class of data preprocessor whose arguments are known;
            its subclasses are too.

    Raises:
        AdaptError: The config swaps or normalises in a way that cannot be
            followed.
    """
    if edits.get(PREPROCESSOR) is None and edits.get('data_preprocessor'):
        edits.set(
            PREPROCESSOR,
            edits.get('data_preprocessor'),
            'that at the top of the config: mmengine puts it into the model',
        )
    name = type_name(edits.get(PREPROCESSOR))
    if not is_one_of(edits.get(PREPROCESSOR), (preprocessor,)):
        raise AdaptError(
            f'{PREPROCESSOR} is of type {name}, and where that swaps and '
            f'normalises channels is not known: expected {preprocessor}'
        )
    for transform in typed_dicts(edits.cfg._cfg_dict):
        if problem := transform_problem(transform):
            raise AdaptError(f'a pipeline has {problem}')
    for problem in pipeline_problems(edits.cfg):
        raise AdaptError(problem)
    if note := stretch_note(meta.get('stretch'), edits.cfg):
        edits.notes.append(note)
    order = meta['channel_order']
    reason = f'the weights were pretrained on {order.upper()} pixels'
    edits.set(f'{PREPROCESSOR}.bgr_to_rgb', order == 'rgb', reason)
    if edits.get(f'{PREPROCESSOR}.rgb_to_bgr'):
        edits.set(f'{PREPROCESSOR}.rgb_to_bgr', False, reason)
    for name in ('mean', 'std'):
        reason = f'{name} of the pretraining, in {order.upper()} order'
        edits.set(f'{PREPROCESSOR}.{name}', list(meta[name]), reason)
