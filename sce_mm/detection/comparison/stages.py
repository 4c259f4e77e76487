"""What a comparison does, in order; each step is done once."""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

from ...checkpoints.reading import META_KEY, read_checkpoint
from ...config.errors import raise_all
from ...config.parts import innermost_dataset
from ...datasets.coco_labels import notes, read_coco
from ...datasets.images.file_lists import read_image_list
from ...transfer import extract_backbone, save_backbone
from ...transfer.describe import describe_model
from ...transfer.initial_weights import load_initial_weights
from ...utils.commands import Command, run_together, training_step
from ...utils.progress import track
from ...utils.text import printable
from ..adapt import load_source, start_at_random, write_config
from ..adapt.plan import Plan
from .arguments import wrong_arguments
from .detector_check import check_detector
from .labels import (
    different_categories,
    plan_data,
    unlabelled_without_copies,
)
from .results import CONTINUED, RANDOM, SCE, Run, in_path, last_metrics


class Comparison:
    """The steps, their files and their results.

    Args:
        args: Of tools/compare.py, paths absolute.

    Raises:
        ConfigError: With all that is wrong with the arguments and the labels.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.out: Path = args.out
        self.sources = [RANDOM, *args.weights, SCE]
        if args.init_from:
            self.sources.append(CONTINUED)
        self.train, problems = read_coco(args.train, args.train_images)
        self.val, more = read_coco(args.val, args.val_images)
        wrong = wrong_arguments(args, self.sources)
        problems = [*wrong, *problems, *more]
        if not problems:
            problems += different_categories(args, self.train, self.val)
        raise_all(problems, 'problem(s) found before anything started')
        self.classes = [c['name'] for c in self.train['categories']]
        for path, content in ((args.train, self.train), (args.val, self.val)):
            for note in notes(content):
                print(f'[compare] {printable(path.name)}: {note}')
        self.commands: list[str] = []
        self.log: Path | None = None
        # Of trainings that ended in this call: per cent of labels, seconds.
        self.durations: list[tuple[float, float]] = []

    def run(self) -> None:
        """All steps; what is there already is used."""
        self.check_start()
        self.list_unlabelled()
        steps: list[tuple[str, Callable[[], object]]] = [
            (f'pretraining of {name}', partial(self.pretrain, name, words))
            for name, words in self.pretrainings().items()
        ]
        steps += [(str(r), partial(self.measure, r)) for r in self.runs()]
        bar = track(steps, 'comparison', note=self.state)
        for number, (title, step) in enumerate(bar, 1):
            place = f'{number} of {len(steps)}'
            print(f'[compare] {place}: {title}{self.time_left()}', flush=True)
            step()

    def runs(self) -> Iterator[Run]:
        """Seeds outermost: a first result of everything comes early."""
        for seed in self.args.seeds:
            for percent in self.args.percent:
                for source in self.sources:
                    yield Run(source, percent, seed)

    def config(self, name: str) -> Path:
        """Detector config of a source."""
        return self.out / 'configs' / f'{in_path(name)}.py'

    def backbone(self, name: str) -> Path:
        """Backbone file of a source."""
        given = self.args.weights.get(name)
        return given or self.out / 'backbones' / f'{in_path(name)}.pth'

    def check_start(self) -> None:
        """Find what does not fit before the hours of pretraining.

        The network before its pretraining goes the way that the pretrained
        one will go, weights that are given become configs, and data sets and
        metric of the detector are used once.
        """
        initial = self.out / 'backbones' / 'initial.pth'
        self._write_data_config(initial)
        self._save_initial(initial)
        self.make_config('initial', initial)
        self._write_random_config(initial)
        for name, path in self.args.weights.items():
            self.make_config(name, path)
        cfg = Config.fromfile(self.config(RANDOM))
        options = overrides(self.args.detector_options)
        labels = dict.fromkeys(self.labels(run) for run in self.runs())
        check_detector(cfg, options, list(labels))

    def _write_data_config(self, initial: Path) -> None:
        source = load_source(self.args.detector)
        plan = Plan(source.cfg)
        plan_data(plan, self.args, self.classes, self.train, self.val)
        title = 'The detector on the labels of this comparison.'
        out = self.out / 'configs' / 'data.py'
        write_config(plan, source.base, initial, out, title)

    def _write_random_config(self, initial: Path) -> None:
        source = load_source(str(self.config('initial')))
        plan = Plan(source.cfg)
        start_at_random(plan)
        title = f'The detector from {RANDOM}; nothing else differs.'
        write_config(plan, source.base, initial, self.config(RANDOM), title)

    def _save_initial(self, path: Path) -> None:
        cfg = Config.fromfile(self.args.pretraining)
        cfg.merge_from_dict(overrides(self.args.pretraining_options))
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            model: Any = MODELS.build(cfg.model)
        meta = {META_KEY: describe_model(model, 0)}
        checkpoint = {'state_dict': model.state_dict(), 'meta': meta}
        save_backbone(path, extract_backbone(checkpoint))
        if self.args.init_from:
            given = self.args.init_from
            load_initial_weights(model, read_checkpoint(given), str(given))

    def list_unlabelled(self) -> None:
        """Leave validation images out of the unlabelled ones."""
        found, kept = self.out / 'copies.json', self.unlabelled
        if not found.is_file():
            copies = unlabelled_without_copies(
                self.args.images, self.val, self.args.val_images, kept
            )
            rows = [copy._asdict() for copy in copies]
            found.write_text(json.dumps(rows, indent=2))
        self.copies = json.loads(found.read_text())
        self.num_unlabelled = len(read_image_list(str(kept)))
        print(
            f'[compare] {len(self.copies)} of '
            f'{self.num_unlabelled + len(self.copies)} unlabelled images are '
            'validation images or near copies of them: left out',
            flush=True,
        )

    @property
    def unlabelled(self) -> Path:
        """List of the images to pretrain on."""
        return self.out / 'unlabelled.json'

    def pretrainings(self) -> dict[str, list[object]]:
        """Words that each pretraining has beside the common ones."""
        words: dict[str, list[object]] = {SCE: []}
        if self.args.init_from:
            words[CONTINUED] = ['--init-from', self.args.init_from]
        return words

    def pretrain(self, name: str, words: list[object]) -> None:
        """SCE on the unlabelled images, its backbone and its config."""
        if not self.backbone(name).is_file():
            folder = self.out / 'runs' / in_path(name)
            if list(folder.glob('epoch_*.pth')):
                words = []
            self.start('tools/train.py', [
                self.args.pretraining, '--work-dir', folder, '--resume',
                *words, '--cfg-options',
                'train_dataloader.dataset.data_root=',
                f'train_dataloader.dataset.ann_file={self.unlabelled}',
                *self.args.pretraining_options,
            ], folder)  # fmt: skip
            self.start(
                'tools/model_converters/extract_backbone.py',
                [last_checkpoint(folder), self.backbone(name)],
                folder,
            )
        self.make_config(name, self.backbone(name))

    def make_config(self, name: str, backbone: Path) -> None:
        """The detector's config with a backbone file."""
        self.start('tools/make_detection_config.py', [
            self.out / 'configs' / 'data.py', backbone, self.config(name),
            '--overwrite',
        ], self.out / 'configs')  # fmt: skip

    def labels(self, run: Run) -> Path:
        """Annotation file of a run, written if it is a part."""
        if run.percent == 100:
            return self.args.train
        folder = self.out / 'labels'
        name = f'{self.args.train.stem}.{run.seed}@{run.percent:g}.json'
        if not (folder / name).is_file():
            self.start('tools/dataset_converters/coco_subset.py', [
                self.args.train, '--percent',
                *(f'{p:g}' for p in self.args.percent if p != 100),
                '--seed', run.seed, '--out-dir', folder,
            ], folder)  # fmt: skip
        return folder / name

    def measure(self, run: Run) -> dict[str, Any]:
        """Train and evaluate one detector.

        Returns:
            Metrics in per cent, ``classes`` with AP of each class, ``seed``,
            ``checkpoint`` and ``backbone``, relative to the output folder.
        """
        folder = self.out / 'runs' / run.folder
        result = folder / 'result.json'
        if not result.is_file():
            begun = time.monotonic()
            cfg = Config.fromfile(self.config(run.source))
            where, _ = innermost_dataset(cfg)
            self.start('tools/train.py', [
                self.config(run.source), '--work-dir', folder, '--resume',
                '--cfg-options', f'randomness.seed={run.seed}',
                f'{where}.ann_file={self.labels(run)}',
                'default_hooks.checkpoint.max_keep_ckpts=1',
                *self.args.detector_options,
            ], folder)  # fmt: skip
            masks = 'segm' in cfg.val_evaluator.metric
            found = last_metrics(folder, self.classes, masks)
            found['seed'] = run.seed
            found['checkpoint'] = self.below(last_checkpoint(folder))
            if run.source != RANDOM:
                found['backbone'] = self.below(self.backbone(run.source))
            result.write_text(json.dumps(found, indent=2))
            self.durations.append((run.percent, time.monotonic() - begun))
        return json.loads(result.read_text())

    def below(self, path: Path) -> str:
        """A path from the output folder, if it is in there."""
        inside = path.is_relative_to(self.out)
        return str(path.relative_to(self.out) if inside else path)

    def time_left(self) -> str:
        """Estimate for trainings of detectors from those that ended."""
        if not self.durations:
            return ''
        # A training takes as long as it has labelled images.
        percents, seconds = map(sum, zip(*self.durations, strict=True))
        todo = sum(
            run.percent
            for run in self.runs()
            if not (self.out / 'runs' / run.folder / 'result.json').is_file()
        )
        minutes = seconds / percents * todo / 60
        unit = (
            f'{minutes:.0f} min' if minutes < 90 else f'{minutes / 60:.1f} h'
        )
        return f' (about {unit} left)'

    def state(self) -> str:
        """What the running command says of its progress."""
        return training_step(self.log) if self.log else ''

    def start(self, script: str, words: list, folder: Path) -> None:
        """Run one command with its log in a folder."""
        command = Command(script, words, threads=self.args.threads)
        self.log = command.log(folder)
        print(f'[compare] {command.shown()}', flush=True)
        self.commands.append(command.shown())
        run_together([command], folder)


def last_checkpoint(folder: Path) -> Path:
    """The checkpoint that a run wrote last."""
    return Path((folder / 'last_checkpoint').read_text().strip())


def overrides(words: list[str]) -> dict[str, Any]:
    """Values of ``key=value`` words, as every tool reads them."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--o', nargs='*', action=DictAction)
    return parser.parse_args(['--o', *words]).o
