"""Name the trainings of a comparison and read what each of them reached."""

import math
from pathlib import Path
from typing import Any, NamedTuple

from ...utils.commands import read_scalars

RANDOM = 'random initialisation'
SCE = 'SCE'
CONTINUED = 'SCE, continued'
# By source and per cent of the labels, one dict a seed.
Results = dict[str, dict[float, list[dict[str, Any]]]]
# What mmdet's CocoMetric writes into the log.
METRICS = {
    'box AP': 'coco/bbox_mAP',
    'box AP50': 'coco/bbox_mAP_50',
    'mask AP': 'coco/segm_mAP',
    'mask AP50': 'coco/segm_mAP_50',
}


class Run(NamedTuple):
    """One training of the detector."""

    source: str
    percent: float
    seed: int

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return f'{in_path(self.source)}_{self.percent:g}pct_seed{self.seed}'

    def __str__(self) -> str:
        return (
            f'detector from {self.source}, {self.percent:g} % of the labels, '
            f'seed {self.seed}'
        )


def in_path(name: str) -> str:
    """A name of a source as part of a path."""
    return ''.join(c if c.isalnum() else '-' for c in name)


def last_checkpoint(folder: Path) -> Path:
    """The checkpoint that a run wrote last."""
    return Path((folder / 'last_checkpoint').read_text().strip())


def last_metrics(
    folder: Path, classes: list[str], masks: bool
) -> dict[str, Any]:
    """COCO metrics of the last evaluation of a run, in per cent.

    Returns:
        A value for each of ``METRICS`` that is evaluated, and ``classes``: AP
        of each class, of masks where these are evaluated; None for a class
        without objects.
    """
    series = read_scalars(folder)
    # The end of the last evaluation. If the detector found nothing in it,
    # mmdet writes no metric at all: that is zero, whatever came before.
    last = series['time'][-1][0]

    def value(key: str) -> float:
        step, number = series.get(key, [(None, 0.0)])[-1]
        return 100 * number if step == last else 0.0

    found: dict[str, Any] = {
        name: value(key)
        for name, key in METRICS.items()
        if masks or not name.startswith('mask')
    }
    each = {name: value(f'coco/{name}_precision') for name in classes}
    found['classes'] = {
        name: None if math.isnan(ap) else ap for name, ap in each.items()
    }
    return found
