"""What an output folder holds: names of its files, what each run reached."""

from __future__ import annotations

import json
import os
import platform
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from ..config.parts import innermost_dataset
from ..utils.run_commands import log_entries, read_scalars
from ..utils.text import RANDOM

SCE = 'SCE'
CONTINUED = 'SCE, continued'
# What sce test found, where a training was killed in its evaluation.
TESTED = 'evaluation.json'
# What the folder was made from.
INPUTS = 'inputs.json'
# By source and per cent of the labels, one dict a seed.
Results = dict[str, dict[float, list[dict[str, Any]]]]


def longer_random(results: Results) -> list[str]:
    """Sources of random initialisation that trains longer."""
    return [name for name in results if name.startswith(f'{RANDOM}, ')]


def config_file(out: Path, key: str) -> Path:
    """Config of the predictor in an output folder."""
    return out / 'configs' / f'{key}.py'


def last_checkpoint(folder: Path) -> Path:
    """The checkpoint that a run wrote last."""
    return Path((folder / 'last_checkpoint').read_text().strip())


def pretraining_config(
    out: Path, results: Results, source: str
) -> Config | None:
    """The config that the pretraining of a start ran with.

    A run and its backbone file have one name. None if the folder is gone.
    It reads list and cache where they are now, should the folder have been
    moved, and files where the cache is gone, which give the same pixels.
    """
    first = next(iter(results[source].values()))[0]
    folder = out / 'runs' / Path(first.get('backbone', source)).stem
    file = next(iter(sorted(folder.glob('*.py'))), None)
    if file is None:
        return None
    cfg, cache = Config.fromfile(file), out / 'images'
    _, dataset = innermost_dataset(cfg)
    before = Path(dataset.ann_file).parent
    dataset.ann_file = str(out / Path(dataset.ann_file).name)
    for step in dataset.get('pipeline') or []:
        if step.get('cache') != str(before / cache.name):
            continue
        step['cache'] = str(cache)
        if not cache.exists():
            del step['cache'], step['check_source']
            step['type'] = 'LoadImage'
    return cfg


def was_evaluated(folder: Path) -> bool:
    """Whether the evaluation of the last checkpoint came to its end.

    A run that is killed in it has that checkpoint already: resumed, it has
    nothing left to train, and evaluates nothing.
    """
    last: dict[str, Any] = {'loss': None}
    for entry in log_entries(folder):
        last = entry
    # epoch_14.pth or iter_340.pth
    reached = re.search(r'_(\d+)\.pth$', last_checkpoint(folder).name)
    return 'loss' not in last and (
        reached is None or last['step'] == int(reached[1])
    )


def last_logged(folder: Path) -> dict[str, float]:
    """What the metric wrote in the last evaluation of a run, by its keys.

    That of ``TESTED`` if the evaluation was made by sce test.
    """
    if not was_evaluated(folder):
        found: dict[str, float] = json.loads((folder / TESTED).read_text())
        return found
    # mmdet writes no metric if the detector found nothing: values of earlier
    # evaluations are not those of the last.
    series = read_scalars(folder)
    last = series['time'][-1][0]
    ends = {key: pairs[-1] for key, pairs in series.items()}
    return {
        key: number for key, (step, number) in ends.items() if step == last
    }


def seconds_of(folder: Path) -> float | None:
    """How long a run took, without the pauses between its sessions.

    mmengine names the folder of each session by the time when it began, and
    writes its log until the end. None if there is no such folder.
    """
    spans = []
    for log in folder.glob('*/*.log'):
        with suppress(ValueError):
            began = time.strptime(log.parent.name, '%Y%m%d_%H%M%S')
            spans.append(log.stat().st_mtime - time.mktime(began))
    return round(sum(spans), 1) if spans else None


def describe_machine() -> str:
    """Processor, cores, and GPU if there is one."""
    name = platform.machine()
    with suppress(OSError):
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        models = [line for line in lines if line.startswith('model name')]
        name = models[0].partition(':')[2].strip() if models else name
    found = f'{name}, {os.cpu_count()} cores'
    if torch.cuda.is_available():
        found += f', {torch.cuda.get_device_name()}'
    return found
