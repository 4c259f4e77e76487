"""What a comparison is asked for, and whether its folder is of the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..config.errors import ConfigError
from ..config.reading import hash_of_config, read_config
from ..config.regions import Sides, regions_text
from ..downstream import load_base
from ..utils.durable_files import write_json
from ..utils.hashes import hash_of
from ..utils.text import in_path
from .results import CONTINUED, INPUTS, SCE

if TYPE_CHECKING:
    from .task import Task


class Variant(NamedTuple):
    """What another pretraining has in place of the plain one.

    Attributes:
        config: File, None for that of the plain one.
        overrides: ``KEY=VALUE`` words on top of those of all pretrainings.
        regions: As those of :class:`Settings`, None for the same.
        init_from: Checkpoint that it starts from.
    """

    config: Path | None = None
    overrides: Sequence[str] = ()
    regions: Sides | str | None = None
    init_from: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is compared, on which images, and how it is run.

    Each is the option of ``sce compare`` with its name. All paths are
    absolute: trainings are programs of their own.

    Attributes:
        out: Folder of everything made.
        images: Folders of the unlabelled images.
        train: Training labels: a file in COCO format or a folder of masks.
        train_images: Folder of the training images.
        val: Validation labels.
        val_images: Folder of the validation images.
        predictor: Config of the detector or segmentor: a path, or
            ``package::name``.
        predictor_options: Overrides of every training of it, ``KEY=VALUE``.
        pretraining: Config of SCE.
        pretraining_options: Overrides of every pretraining, ``KEY=VALUE``.
        regions: Least and largest side in pixels of the regions that a
            pretraining cuts out of the images; ``'auto'`` for sides that
            follow the boxes of the training labels, ``'none'`` for whole
            images, None for what the config says.
        regions_per_image: Samples of an epoch from one image; None for as
            many as regions fit into the median image.
        init_from: Checkpoint from which SCE is pretrained a second time.
        variants: Other pretrainings by their names.
        weights: Other backbone files to start from, by their names.
        longer_random: How many times as long random initialisation trains
            as well; None if it does not.
        percent: Parts of the labels, above 0 and up to 100.
        seeds: Seeds of the predictors.
        pretraining_seeds: Seeds of the pretrainings of each start, which the
            seeds take in turn; None for one pretraining, with the seed of its
            config.
        min_iterations: Iterations that a predictor trains for at the least;
            ``'all'`` for as many as with all labels, 0 for what its config
            says.
        jobs: Trainings that run at the same time.
        threads: Processor threads of each.
    """

    out: Path
    images: Sequence[Path]
    train: Path
    train_images: Path
    val: Path
    val_images: Path
    predictor: str
    predictor_options: Sequence[str] = ()
    pretraining: Path
    pretraining_options: Sequence[str] = ()
    regions: Sides | str | None = None
    regions_per_image: int | None = None
    init_from: Path | None = None
    variants: Mapping[str, Variant] = field(default_factory=dict)
    weights: Mapping[str, Path] = field(default_factory=dict)
    longer_random: float | None = None
    percent: Sequence[float] = (100.0,)
    seeds: Sequence[int] = (0,)
    pretraining_seeds: Sequence[int] | None = None
    min_iterations: int | Literal['all'] = 0
    jobs: int = 1
    threads: int = 1

    @property
    def pretrainings(self) -> dict[str, Variant]:
        """All pretrainings by their names, the plain one first."""
        continued = {CONTINUED: Variant(init_from=self.init_from)}
        return (
            {SCE: Variant()}
            | (continued if self.init_from else {})
            | dict(self.variants)
        )


# What the folder was made from if it does not say so.
_DEFAULTS = {'--regions': None, '--regions-per-image': None}


def adopt_inputs(settings: Settings, task: Task) -> dict[str, Any]:
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
    path = settings.out / INPUTS
    before = json.loads(path.read_text()) if path.is_file() else {}
    inputs = [*_inputs(settings, task)]
    now = {option: value for option, _, value in inputs}
    known = _DEFAULTS | before if before else {}
    other = {
        option: start
        for option, start, value in inputs
        if option in known and known[option] != value
    }
    runs = settings.out / 'runs'
    if used := [name for name, start in other.items() if _began(runs, start)]:
        raise ConfigError(
            f'{settings.out} holds another comparison, of other '
            f'{", ".join(used)}: name another OUT, or give what was given then'
        )
    if other and not runs.exists():
        # What is made from labels and images is small.
        shutil.rmtree(settings.out / 'labels', ignore_errors=True)
        (settings.out / 'copies.json').unlink(missing_ok=True)
    write_json(path, before | now)
    return before | now


def _began(runs: Path, start: str) -> bool:
    """Whether a training of a start has begun; of any, if it is empty."""
    key = in_path(start)
    found = [path.name for path in runs.glob('*')]
    return any(
        not key or name == key or name.startswith(f'{key}_') for name in found
    )


def _inputs(settings: Settings, task: Task) -> Iterator[tuple[str, str, Any]]:
    """What decides results: option, the only start it is of, and value."""
    predictor = f'--{task.predictor}'
    for option, value in {
        '--images': sorted(map(str, settings.images)),
        '--train-images': str(settings.train_images),
        '--val-images': str(settings.val_images),
        **task.inputs(),
        predictor: hash_of_config(load_base(settings.predictor)[0]),
        '--pretraining': hash_of_config(read_config(settings.pretraining)),
        '--pretraining-options': [*settings.pretraining_options],
        '--regions': regions_text(settings.regions),
        '--regions-per-image': settings.regions_per_image,
        f'{predictor}-options': [*settings.predictor_options],
    }.items():
        yield option, '', value
    for name, weights in settings.weights.items():
        yield f'--weights {name}', name, hash_of(weights.read_bytes())
    for name, variant in settings.variants.items():
        value = [
            hash_of_config(
                read_config(variant.config or settings.pretraining)
            ),
            *variant.overrides,
            *filter(None, [regions_text(variant.regions)]),
        ]
        yield f'--variant {name}', name, value
    if file := settings.init_from:
        yield '--init-from', CONTINUED, hash_of(file.read_bytes())
