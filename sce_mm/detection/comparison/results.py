"""What an output folder holds: of which inputs, and what each run reached."""

import argparse
import hashlib
import json
import math
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from ...config.errors import ConfigError
from ...config.reading import read_config
from ...utils.commands import read_scalars
from ..adapt import load_source

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

    each = {name: value(f'coco/{name}_precision') for name in classes}
    return {
        name: value(key)
        for name, key in METRICS.items()
        if masks or not name.startswith('mask')
    } | {'classes': {k: None if math.isnan(v) else v for k, v in each.items()}}


def check_inputs(args: argparse.Namespace) -> None:
    """Compare the inputs with those that the output folder was made from.

    Labels, weights and configs are known by their content, images by their
    folders. Seeds, parts of the labels, starts and threads may be others.

    Raises:
        ConfigError: The folder holds trainings on other inputs.
    """
    path: Path = args.out / 'inputs.json'
    before = json.loads(path.read_text()) if path.is_file() else {}
    now = _inputs(args)
    other = [
        name for name in before if now.get(name, before[name]) != before[name]
    ]
    if other and (args.out / 'runs').exists():
        raise ConfigError(
            f'{args.out} holds another comparison, of other {", ".join(other)}'
            ': name another OUT, or give what was given then'
        )
    if other:
        # No training has begun; what is made from labels and images is small.
        shutil.rmtree(args.out / 'labels', ignore_errors=True)
        (args.out / 'copies.json').unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(before | now, indent=2))


def _inputs(args: argparse.Namespace) -> dict[str, Any]:
    """What decides the results, by the option that gives it."""
    found = {
        '--images': sorted(map(str, args.images)),
        '--train': _hash(args.train.read_bytes()),
        '--train-images': str(args.train_images),
        '--val': _hash(args.val.read_bytes()),
        '--val-images': str(args.val_images),
        '--detector': _hash_of_config(load_source(args.detector)[0]),
        '--pretraining': _hash_of_config(read_config(args.pretraining)),
        '--pretraining-options': args.pretraining_options,
        '--detector-options': args.detector_options,
    }
    for name, file in args.weights.items():
        found[f'--weights {name}'] = _hash(file.read_bytes())
    if args.init_from:
        found['--init-from'] = _hash(args.init_from.read_bytes())
    return found


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _hash_of_config(cfg: Any) -> str:
    return _hash(json.dumps(cfg._cfg_dict.to_dict(), default=str).encode())
