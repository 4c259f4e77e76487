"""What an output folder holds: of which inputs, and what each run reached."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from mmengine.config import Config

from ..config.errors import ConfigError
from ..config.parts import innermost_dataset
from ..config.reading import hash_of_config, read_config
from ..config.regions import regions_text
from ..downstream import load_base
from ..utils.durable_files import write_json
from ..utils.run_commands import log_entries, read_scalars

if TYPE_CHECKING:
    from .task import Task

RANDOM = 'random initialisation'
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


def in_path(name: str) -> str:
    """A name of a source as part of a path."""
    return ''.join(c if c.isalnum() else '-' for c in name)


def last_checkpoint(folder: Path) -> Path:
    """The checkpoint that a run wrote last."""
    return Path((folder / 'last_checkpoint').read_text().strip())


def pretraining_config(
    out: Path, results: Results, source: str
) -> Config | None:
    """The config that the pretraining of a start ran with.

    A run and its backbone file have one name. None if the folder is gone.
    Where the cache is gone too, it reads files, which give the same pixels.
    """
    first = next(iter(results[source].values()))[0]
    folder = out / 'runs' / Path(first.get('backbone', source)).stem
    file = next(iter(sorted(folder.glob('*.py'))), None)
    if file is None:
        return None
    cfg, cache = Config.fromfile(file), out / 'images'
    for step in innermost_dataset(cfg)[1].get('pipeline') or []:
        if step.get('cache') == str(cache) and not cache.exists():
            del step['cache'], step['check_source']
            step['type'] = 'LoadImage'
    return cfg


def without_checkpoint(runs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of runs whose checkpoint was removed since."""
    return [
        name
        for name, run in runs.items()
        if not Path(run['checkpoint']).exists()
    ]


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


# What the folder was made from if it does not say so.
_DEFAULTS = {'--regions': None, '--regions-per-image': None}


def adopt_inputs(args: argparse.Namespace, task: Task) -> dict[str, Any]:
    """Compare the inputs with those of the output folder; remember them.

    If nothing was trained yet, labels and copies of other inputs are removed.

    Labels, weights and configs are known by their content, images by their
    folders. Starts can be added, and are compared by name. Seeds, parts of the
    labels, lengths of trainings, threads and jobs may be others.

    Returns:
        What decides the results, by the option that gives it; of all starts
        that the folder has.

    Raises:
        ConfigError: The folder holds trainings on other inputs.
    """
    path: Path = args.out / INPUTS
    before = json.loads(path.read_text()) if path.is_file() else {}
    now = _inputs(args, task)
    known = _DEFAULTS | before if before else {}
    other = [
        name for name in now if name in known and known[name] != now[name]
    ]
    runs = args.out / 'runs'
    if used := [name for name in other if _has_runs(runs, name)]:
        raise ConfigError(
            f'{args.out} holds another comparison, of other {", ".join(used)}'
            ': name another OUT, or give what was given then'
        )
    if other and not runs.exists():
        # What is made from labels and images is small.
        shutil.rmtree(args.out / 'labels', ignore_errors=True)
        (args.out / 'copies.json').unlink(missing_ok=True)
    write_json(path, before | now)
    return before | now


def _has_runs(runs: Path, option: str) -> bool:
    """Whether a training on what an option gives has begun."""
    kind, _, source = option.partition(' ')
    if kind == '--init-from':
        source = CONTINUED
    key = in_path(source)
    found = [path.name for path in runs.glob('*')]
    return any(
        not key or name == key or name.startswith(f'{key}_') for name in found
    )


def _inputs(args: argparse.Namespace, task: Task) -> dict[str, Any]:
    predictor = f'--{task.predictor}'
    found = {
        '--images': sorted(map(str, args.images)),
        '--train-images': str(args.train_images),
        '--val-images': str(args.val_images),
        **task.inputs(),
        predictor: hash_of_config(load_base(task.config)[0]),
        '--pretraining': hash_of_config(read_config(args.pretraining)),
        '--pretraining-options': args.pretraining_options,
        '--regions': regions_text(args.regions),
        '--regions-per-image': args.regions_per_image,
        f'{predictor}-options': task.options,
    }
    for name, file in args.weights.items():
        found[f'--weights {name}'] = hash_of(file.read_bytes())
    for name, variant in args.variants.items():
        config = read_config(variant.config or args.pretraining)
        found[f'--variant {name}'] = [
            hash_of_config(config),
            *variant.overrides,
            *filter(None, [regions_text(variant.regions)]),
        ]
    if args.init_from:
        found['--init-from'] = hash_of(args.init_from.read_bytes())
    return found


def hash_of(content: bytes) -> str:
    """By what the content of a file is known."""
    return hashlib.sha256(content).hexdigest()
