"""Find transforms that hand on other pixels than a pretrained network expects.

Images are expected in OpenCV's order, blue, green, red, with levels from 0 to
255. The data preprocessor alone swaps the channels and normalises them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from ...config.reading import typed_dicts, walk

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# Pipelines may also be in hooks, which put them in the place of others, and
# in test-time augmentation.
_PLACES = (*LOADERS, 'custom_hooks', 'default_hooks', 'tta_pipeline')
_TAKE_OUT = 'take it out of the pipeline'
_SCALES = (
    f'it divides pixels that are expected to be from 0 to 255: {_TAKE_OUT}'
)
_OTHER_CHANNELS = 'its channels are not the blue, green and red of OpenCV'
REFUSED = {
    'Normalize': 'it normalises pixels that the data preprocessor normalises '
    f'as well: {_TAKE_OUT}',
    'ToFloat': _SCALES,
    'torchvision/ToTensor': _SCALES,
    'torchvision/ConvertImageDtype': _SCALES,
    'LoadMultiChannelImageFromFiles': 'it stacks channels from several files',
    'LoadSingleRSImageFromFile': _OTHER_CHANNELS,
    'LoadMultipleRSImageFromFile': _OTHER_CHANNELS,
    'LoadBiomedicalImageFromFile': _OTHER_CHANNELS,
    'LoadBiomedicalData': _OTHER_CHANNELS,
}
COLOURED = ('color', 'color_ignore_orientation')
# Floating-point levels that were divided lie between 0 and 1, and normalised
# ones reach 2.7. Augmentations of colour leave some above 255, none above
# this.
_SCALED, _BRIGHTEST = 3, 1023
# What is left of 12 bits of a 16-bit file when the lower byte is dropped.
_DARK = 15


def transform_problem(transform: Mapping[str, Any]) -> str:
    """Reason to refuse a transform with its name; empty if there is none.

    Args:
        transform: Config of a transform of any library.
    """
    kind = _kind(transform)
    name = re.split(r'[./]', kind)[-1]
    if reason := REFUSED.get(kind.rpartition('.')[2], REFUSED.get(name)):
        return f'{name}: {reason}'
    if not name.startswith('LoadImage'):
        return ''
    colour = transform.get('color_type', 'color')
    if colour not in COLOURED:
        return (
            f'{name} with color_type={colour!r}: the weights expect three '
            f'colours, color_type in {COLOURED}'
        )
    if transform.get('imdecode_backend') == 'tifffile':
        return (
            f"{name} with imdecode_backend='tifffile', which gives red, green "
            'and blue where all others give blue, green and red: leave '
            'imdecode_backend out'
        )
    return ''


def pipeline_problems(cfg: Mapping[str, Any]) -> Iterator[str]:
    """Transforms of a config that are refused, with where they are."""
    for place in _PLACES:
        transforms = list(typed_dicts(cfg.get(place)))
        found = [*map(transform_problem, transforms), swap_problem(transforms)]
        for problem in dict.fromkeys(filter(None, found)):
            yield f'{place} has {problem}'


def swap_problem(transforms: Iterable[Mapping[str, Any]]) -> str:
    """Reason to refuse transforms that leave channels swapped, or nothing.

    mmpretrain's ``NumpyToPIL`` may make red, green and blue of OpenCV's order,
    and ``PILToNumpy`` the reverse.
    """
    swaps = [
        (_kind(t).rpartition('.')[2], t.get('to_rgb'), t.get('to_bgr'))
        for t in transforms
    ]
    there = sum(kind == 'NumpyToPIL' and bool(rgb) for kind, rgb, _ in swaps)
    back = sum(kind == 'PILToNumpy' and bool(bgr) for kind, _, bgr in swaps)
    if there == back:
        return ''
    return (
        f'the pipeline has {there} NumpyToPIL with to_rgb=True and {back} '
        'PILToNumpy with to_bgr=True, which leaves red and blue swapped: set '
        'both or neither'
    )


def stretch_note(
    stretch: Sequence[float] | None, cfg: Mapping[str, Any]
) -> str:
    """A line if a config loads deep images otherwise than a pretraining.

    Args:
        stretch: Levels that were black and white there, if they were set.
        cfg: Config of a whole run.
    """
    loaders = [
        transform
        for transform in typed_dicts(cfg.get('train_dataloader'))
        if re.search(r'\bLoad\w*Image', _kind(transform))
    ]
    if stretch is None or all(
        [*(t.get('stretch') or [])] == [*stretch] for t in loaders
    ):
        return ''
    low, high = stretch
    return (
        'images of more than 8 bits were pretrained with the level '
        f'{low:g} as black and {high:g} as white, and '
        f'{_kind(loaders[0])} has no such range: convert them to 8 bits with '
        'this one, or they come out otherwise, mostly black'
    )


def _kind(transform: Mapping[str, Any]) -> str:
    """Class of a transform, with the scope that its config gives it."""
    kind = transform['type']
    return str(getattr(kind, '__name__', kind))


def level_problems(images: Sequence[Tensor]) -> Iterator[str]:
    """Levels of images that the data preprocessor is about to normalise.

    Args:
        images: A batch of images ``[C, H, W]`` or ``[N, C, H, W]``.
    """
    low, high = _range(images)
    divided = high <= _SCALED and any(
        i.is_floating_point() and bool((i != i.round()).any()) for i in images
    )
    if divided:
        yield (
            f'pixels of the first batch are from {low:.3g} to {high:.3g}, '
            'expected from 0 to 255: a transform divides or normalises them, '
            'and the data preprocessor normalises as well'
        )
    if high > _BRIGHTEST:
        yield (
            f'pixels of the first batch are up to {high:.5g}, expected from 0 '
            'to 255: images of more than 8 bits are read as they are'
        )


def level_notes(images: Sequence[Tensor]) -> Iterator[str]:
    """A line if all images of a batch are nearly black."""
    _, high = _range(images)
    if 0 < high <= _DARK:
        yield (
            f'the brightest pixel of the first batch is {high:g} of 255. '
            'Images of 12 bits in files of 16 come out black like that: '
            'convert them to 8 bits with the range of levels that the '
            'pretraining had'
        )


def _range(images: Sequence[Tensor]) -> tuple[float, float]:
    """Lowest and highest level of all images, zeros if there are none."""
    full = [image for image in images if image.numel()]
    low = min((float(image.min()) for image in full), default=0.0)
    return low, max((float(image.max()) for image in full), default=0.0)


def images_of(batch: Any) -> list[Tensor]:
    """Images of a batch as a data loader gives it to a model of mmengine.

    Those of several branches are all there; of other batches none.
    """
    inputs = batch.get('inputs') if isinstance(batch, Mapping) else None
    if isinstance(inputs, Tensor):
        inputs = [inputs]
    return [
        value
        for _, value in walk({'inputs': inputs})
        if isinstance(value, Tensor) and value.ndim >= 3
    ]
