"""Show regions of images and the views that a pretraining makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS, TRANSFORMS

from ..config.counts import target_views
from ..config.parts import repeated_datasets, view_transforms
from ..config.regions import cuts_regions
from ..datasets.samplers import SampleIndex
from ..datasets.views.augmentations import Augmentation
from ..datasets.views.sce_views import SCEViews
from ..utils.errors import UserError
from ..utils.text import printable
from . import page
from .page import Tile, panel, paragraph, side_by_side, tiles
from .sheets import data_uri

# Pixels of the page: the image, and each of what is made of it.
_IMAGE, _VIEW = 460, 124
# Regions of an image of which views are shown, or epochs of a whole image,
# and regions of which there are frames: more would cover a large image.
_SHOWN, _DRAWN = 3, 100
# BGR: regions that are shown, other regions, and the edge of both.
_CHOSEN, _OTHER, _EDGE = (203, 107, 11), (255, 255, 255), (0, 0, 0)
_REGIONS_TO_SEE = (
    'Each image has the frames of its regions of one epoch. Beside it are '
    'some of these regions and their views, as the network sees them. A '
    'region should show about one object and a little of its surroundings: '
    'choose a smaller size if regions show several objects, a larger one if '
    'they show parts (`--regions`).'
)

_VIEWS_TO_SEE = (
    'Beside each image are its views in the first epochs, as the network sees '
    'them. Both views should show the same thing: if they often do not, use '
    'larger crops (scale), or regions of the images (`--regions`).'
)
_OPERATIONS = {
    'crop, share': lambda view: '{:g} to {:g}'.format(*view.scale),
    'jitter': lambda view: _chance(view.jitter_prob),
    'grey': lambda view: _chance(view.grey_prob),
    'blur': lambda view: _chance(view.blur_prob),
    'solarised': lambda view: _chance(view.solarise_prob),
    'mirrored': lambda view: _chance(view.flip_prob),
}

Box = tuple[int, int, int, int]


def views_page(cfg: Config, name: str, count: int = 6, seed: int = 0) -> str:
    """A page with images, their regions and the views of a pretraining.

    Args:
        cfg: Config of a pretraining on image files.
        name: Name of the config.
        count: Number of images.
        seed: Seed of the training.

    Raises:
        UserError: The config makes no views, or no image can be read.
    """
    transforms = [transform for _, transform in view_transforms(cfg)]
    if not transforms:
        raise UserError(
            f'{name} makes no views: its training pipeline has no SCEViews'
        )
    samples = 'regions' if cuts_regions(cfg) else 'whole images'
    return page.page(
        f'Views of {name}',
        [
            page.title('What the training will see', f'{name}, {samples}'),
            _views_table(cfg, SCEViews(transforms[0]['views']).views),
            regions_sheet(cfg, count, seed),
        ],
    )


def _views_table(cfg: Config, views: Sequence[Augmentation]) -> str:
    """What is done to each view, and which network gets it."""
    keys = target_views(cfg)
    networks = ['both' if keys > 1 else 'momentum'] * keys
    networks += ['online'] * (len(views) - keys)
    rows = [
        ['network', *networks],
        ['size', *(f'{view.size} px' for view in views)],
        *([name, *map(said, views)] for name, said in _OPERATIONS.items()),
    ]
    return page.table(
        ['', *(f'view {n + 1}' for n in range(len(views)))],
        rows,
        'What is done to each view',
    )


def _chance(probability: float) -> str:
    return f'{100 * probability:.0f} %' if probability else 'never'


def regions_sheet(cfg: Config, count: int = 6, seed: int = 0) -> str:
    """Panel of some images with their regions, and the views of some regions.

    Of a config without ``CutRegion`` the views of whole images are shown.

    Args:
        cfg: Config of a pretraining on image files.
        count: Number of images.
        seed: Chooses them, and draws regions and views.

    Returns:
        A fragment of HTML for :func:`~sce_mm.visualization.page.page`.
    """
    parts = _build_parts(cfg)
    # Images are numbered through the parts, as in a ConcatDataset.
    starts = np.cumsum([0, *(len(part.dataset) for part in parts)])
    order = np.random.default_rng(seed).permutation(starts[-1]).tolist()
    rows: list[str] = []
    for image in order:
        if len(rows) == count:
            break
        number = int(starts.searchsorted(image, 'right')) - 1
        part, start = parts[number], int(starts[number])
        info = part.dataset.get_data_info(image - start)
        samples = [
            SampleIndex(
                image, epoch=0, seed=seed, origin=image + n * len(order),
                repetition=n,
            ) - start
            for n in range(min(part.times, _DRAWN))
        ] if part.cuts else [
            SampleIndex(image, epoch=epoch, seed=seed) - start
            for epoch in range(_SHOWN)
        ]  # fmt: skip
        name = Path(info.get('img_path', f'image {image}')).name
        # An image that cannot be read makes no row.
        if row := _row(info, printable(name), samples, part):
            rows.append(row)
    if not rows:
        raise UserError(
            f'none of {len(order)} images can be read, '
            f'{parts[0].dataset.get_data_info(0)["img_path"]} for one'
        )
    what = _REGIONS_TO_SEE if cuts_regions(cfg) else _VIEWS_TO_SEE
    return panel([paragraph(what), *rows])


class _Part(NamedTuple):
    """A data set of the training, its transforms, and samples an image."""

    dataset: Any
    transforms: list[Any]
    times: int

    @property
    def cuts(self) -> bool:
        return 'CutRegion' in self.names

    @property
    def names(self) -> list[str]:
        return [type(transform).__name__ for transform in self.transforms]


def _build_parts(cfg: Config) -> list[_Part]:
    """The data sets with views that a config trains on."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return [
            _Part(
                DATASETS.build({**inner, 'pipeline': []}),
                [TRANSFORMS.build(each) for each in inner['pipeline']],
                times,
            )
            for _, inner, times in repeated_datasets(cfg)
            if any(each['type'] == 'SCEViews' for each in inner['pipeline'])
        ]


def _row(
    info: dict[str, Any], name: str, samples: list[SampleIndex], part: _Part
) -> str:
    """An image, and views of its first samples."""
    transforms, cuts, times = part.transforms, part.cuts, part.times
    views_at = part.names.index('SCEViews')
    # Before it the image is loaded, unless its data set holds the pixels.
    cut_at = part.names.index('CutRegion') if cuts else views_at
    loaded: Any = info
    for transform in transforms[:cut_at]:
        loaded = transform(loaded)
        if loaded is None:
            return ''
    transforms[views_at].deferred = False
    lines: list[str] = []
    for number, sample in enumerate(samples[:_SHOWN], 1):
        results = {**loaded, 'sample_idx': sample}
        of = f'region {number}' if cuts else f'epoch {number}'
        shown = []
        for transform in transforms[cut_at : views_at + 1]:
            results = transform(results)
            if type(transform).__name__ == 'CutRegion':
                region = results['img']
                text = f'{of}, {_size(region)}'
                alt = f'{text}, of {name}'
                shown.append(Tile(data_uri(region), text, alt=alt))
        shown += [
            Tile(
                data_uri(view),
                f'view {n}, ' + (f'{len(view)} px' if cuts else of),
                alt=f'view {n} of {name}, {of}, {len(view)} px',
            )
            for n, view in enumerate(results['img'], 1)
        ]
        columns = min(len(shown), 3)
        lines.append(tiles(shown, _VIEW, True, columns, columns))
    image = loaded['img']
    text = f'{name}, {_size(image)}'
    boxes: list[Box] = []
    if cuts:
        cut = transforms[cut_at]
        boxes = [cut({**loaded, 'sample_idx': s})['region'] for s in samples]
        text += f', {times} regions per epoch'
        text += f', {_DRAWN} of them drawn' * (times > _DRAWN)
    height, width = image.shape[:2]
    tags = [
        (left / width, top / height, str(number))
        for number, (top, left, *_) in enumerate(boxes[:_SHOWN], 1)
    ]
    whole = Tile(data_uri(_framed(image, boxes), True), text, tags=tags)
    views = f'<div>{"".join(lines)}</div>'
    return side_by_side([tiles([whole], _IMAGE, columns=1), views])


def _framed(image: np.ndarray, boxes: Sequence[Box]) -> np.ndarray:
    """The image in the size of the page, with frames around regions."""
    scale = _IMAGE / max(image.shape[:2])
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    drawn = cv2.resize(image, size, interpolation=how)
    # Boxes that are shown come last, above their neighbours.
    for number, box in reversed([*enumerate(boxes)]):
        top, left, height, width = (round(x * scale) for x in box)
        corners = (left, top), (left + width - 1, top + height - 1)
        is_shown = number < _SHOWN
        colour = _CHOSEN if is_shown else _OTHER
        cv2.rectangle(drawn, *corners, _EDGE, 5 if is_shown else 3)
        cv2.rectangle(drawn, *corners, colour, 3 if is_shown else 1)
    return drawn


def _size(image: np.ndarray) -> str:
    height, width = image.shape[:2]
    return f'{width} x {height} px' if width != height else f'{width} px'
