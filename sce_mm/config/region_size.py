"""Choose the size of regions by the objects that a detector is to find.

A region should show about one object, and its views should show it as large
as the detector will see it.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any, NamedTuple

from mmengine.config import Config

from ..utils.checks import LEAST_SIDE
from ..utils.errors import UserError

# Sides of a region in sides of the median box: some of what is around it.
SIDE_OF_BOX = 1.3
# Pixels of a view: a small ResNet makes few positions of less, and of more
# a region is no part of a scene.
_LEAST, _MOST, _MULTIPLE = 64, 224, 32
_RESIZES = ('Resize', 'FixScaleResize')
_INSTEAD = 'give the side of the regions instead, for example --regions 128'


class RegionSize(NamedTuple):
    """Size of regions and of their views.

    Attributes:
        side: Side of a region, pixels of the images.
        view: Side of the largest views, pixels.
        limit: What has kept both from following the boxes, as text; empty if
            nothing has.
    """

    side: int
    view: int
    limit: str = ''


def region_size(box: float, scale: float, short_side: float) -> RegionSize:
    """Size of regions and views for objects that a detector is to find.

    A view of v pixels shows a region of r = v / s pixels at the scale s of
    the detector, where r is 1.3 boxes; v is a multiple of 32 from 64 to 224,
    and r no longer than the short side of the images and no less than the 8
    pixels that a region has to have.

    >>> region_size(box=83, scale=0.5, short_side=480)[:2]
    (128, 64)
    >>> region_size(box=83, scale=1.67, short_side=480)[:2]
    (115, 192)

    Args:
        box: Side of the median object b, pixels of the images.
        scale: Pixels that the detector sees of one pixel of an image, s.
        short_side: Short side of the median image, pixels.
    """
    wanted = _multiple(SIDE_OF_BOX * box * scale)
    view = min(max(wanted, _LEAST), _MOST)
    limit = ''
    if view != wanted:
        limit = f'views have {_LEAST} to {_MOST} px'
    if view / scale > short_side:
        view = max(_multiple(short_side * scale), _LEAST)
        limit = f'images are {short_side:.0f} px wide or high'
    side, least = at_least(round(min(view / scale, short_side)))
    return RegionSize(side, view, least or limit)


def at_least(side: int) -> tuple[int, str]:
    """The side of a region and, if it had to be enlarged, the limit."""
    if side < LEAST_SIDE:
        return LEAST_SIDE, f'regions have at least {LEAST_SIDE} px'
    return side, ''


def _multiple(pixels: float) -> int:
    return _MULTIPLE * max(1, round(pixels / _MULTIPLE))


def box_side(labels: Mapping[str, Any]) -> float:
    """Median side of the objects in labels: the root of a box's area, pixels.

    Args:
        labels: Content of a file in COCO format; crowds and empty boxes do
            not count.

    Raises:
        UserError: There is no box.
    """
    sides = [
        (a['bbox'][2] * a['bbox'][3]) ** 0.5
        for a in labels['annotations']
        if not a.get('iscrowd') and a.get('bbox') and min(a['bbox'][2:]) > 0
    ]
    if not sides:
        raise UserError(f'there is no box in the labels: {_INSTEAD}')
    return median(sides)


def detector_scale(detector: Config, labels: Mapping[str, Any]) -> float:
    """Pixels that a detector sees of one pixel of the median image.

    Args:
        detector: Config of mmdet; the resizing of its test pipeline counts.
        labels: Content of a file in COCO format, which has the sizes of the
            images.

    Raises:
        UserError: It has no test pipeline, or resizes in an unknown way.
    """
    for transform in _test_pipeline(detector):
        name = str(transform.get('type')).rpartition('.')[2]
        if name in _RESIZES:
            try:
                return median(
                    resize_factor(transform, image['height'], image['width'])
                    for image in labels['images']
                )
            except KeyError as error:
                raise UserError(
                    f'images of the labels have no {error}: {_INSTEAD}'
                ) from error
        if 'Resize' in name:
            raise UserError(
                f'the test pipeline of the detector has {name}, whose scale '
                f'is not known here: {_INSTEAD}'
            )
    return 1.0


def resize_factor(resize: Mapping[str, Any], height: int, width: int) -> float:
    """Factor by which ``Resize`` of mmdet changes the side of an object.

    The geometric mean of both directions where they differ.

    >>> resize = dict(type='Resize', scale=(1333, 800), keep_ratio=True)
    >>> round(resize_factor(resize, 480, 640), 3)
    1.667
    """
    scale = resize.get('scale')
    if scale is None:
        factor = resize['scale_factor']
        one = isinstance(factor, int | float)
        across, down = (factor, factor) if one else factor
        scale = width * across, height * down
    pair = (scale, scale) if isinstance(scale, int) else tuple(scale)
    if resize.get('keep_ratio'):
        longest, shortest = max(height, width), min(height, width)
        return min(max(pair) / longest, min(pair) / shortest)
    return (pair[0] / width * pair[1] / height) ** 0.5


def _test_pipeline(detector: Config) -> list[Any]:
    for part in ('test', 'val'):
        dataset = (detector.get(f'{part}_dataloader') or {}).get('dataset')
        while dataset and 'dataset' in dataset:
            dataset = dataset['dataset']
        if dataset and dataset.get('pipeline'):
            return dataset['pipeline']
    raise UserError(
        'the detector has no test_dataloader.dataset.pipeline, which says '
        f'how large it sees images: {_INSTEAD}'
    )
