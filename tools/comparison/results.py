"""The trainings of a comparison by name, and what came out of each."""

from pathlib import Path
from typing import NamedTuple

from sce_mm.run_logs import scalars

RANDOM = 'random initialisation'
SCE = 'SCE'
CONTINUED = 'SCE, continued'
# What mmdet's CocoMetric writes into the log.
METRICS = {'box AP': 'coco/bbox_mAP', 'mask AP': 'coco/segm_mAP'}


class Run(NamedTuple):
    """One training of the detector."""

    source: str
    percent: float
    seed: int

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return f'{in_path(self.source)}_{self.percent:g}pct_seed{self.seed}'


def in_path(name: str) -> str:
    """A name of a source as part of a path."""
    return ''.join(c if c.isalnum() else '-' for c in name)


def last_metrics(folder: Path) -> dict[str, float]:
    """COCO metrics of the last evaluation of a run, in percent."""
    series = scalars(folder)
    found = {
        name: 100 * series[key][-1][1]
        for name, key in METRICS.items()
        if key in series
    }
    # mmdet writes no metric if the detector found nothing: that is zero.
    return found or {'box AP': 0.0}
