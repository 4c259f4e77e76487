"""Run a comparison: check, pretrain, train each detector, write the page."""

import argparse
import json
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

from ...checkpoints.reading import META_KEY, read_checkpoint
from ...config.errors import raise_all
from ...config.parts import innermost_dataset
from ...config.reading import override
from ...datasets.images.file_lists import read_image_list
from ...datasets.labels.coco_labels import notes, read_coco
from ...transfer import extract_backbone, save_backbone
from ...transfer.initial_weights import load_initial_weights
from ...transfer.metadata import describe_model
from ...utils.commands import Command, run_together, training_step
from ...utils.progress import track
from ...utils.text import printable
from ..adapt import (
    ConfigEdits,
    load_source,
    make_config,
    start_at_random,
    write_config,
)
from .labels import check_detector, unlabelled_without_copies, use_labels
from .report import write_report
from .results import (
    CONTINUED,
    RANDOM,
    SCE,
    Results,
    Run,
    check_inputs,
    in_path,
    last_checkpoint,
    last_metrics,
)


def compare(args: argparse.Namespace) -> None:
    """Run all steps that are not done yet, and write the report.

    Args:
        args: Arguments of tools/compare.py; all paths are absolute.

    Raises:
        ConfigError: Labels are wrong, or inputs differ from those of the
            results in the output folder; the message lists all problems.
        RuntimeError: A command failed; the message has the end of its log.
    """
    # Stops the training that runs, which saves where it is, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    comparison = Comparison(args)
    comparison.run()
    write_report(comparison)


class Comparison:
    """The steps, their files and their results; see :func:`compare`."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.out: Path = args.out
        self.sources = [RANDOM, *args.weights, SCE]
        if args.init_from:
            self.sources.append(CONTINUED)
        self.train, problems = read_coco(args.train, args.train_images)
        self.val, more = read_coco(args.val, args.val_images)
        problems += more
        names = [*map(in_path, self.sources), 'data', 'initial']
        if len(set(names)) < len(names):
            problems.append(
                '--weights: names must differ in a letter or digit from each '
                f'other and from {RANDOM}, {SCE}, data and initial'
            )
        if not problems:
            ours, theirs = (
                [category['name'] for category in content['categories']]
                for content in (self.train, self.val)
            )
            if ours != theirs:
                problems.append(
                    f'{args.train} and {args.val} name different categories, '
                    f'or in another order: {ours} and {theirs}'
                )
        raise_all(problems, 'found before anything started')
        check_inputs(args)
        self.classes = [c['name'] for c in self.train['categories']]
        for path, content in ((args.train, self.train), (args.val, self.val)):
            for note in notes(content):
                print(f'[compare] {printable(path.name)}: {note}')
        self.log = Path()

    def run(self) -> None:
        """Make all steps that are not done yet."""
        self.check_start()
        self.list_unlabelled()
        names = [name for name in self.sources if name in (SCE, CONTINUED)]
        steps: list[tuple[str, Callable[[], object]]] = [
            (f'pretraining of {n}', partial(self.pretrain, n)) for n in names
        ]
        steps += [(str(r), partial(self.measure, r)) for r in self.runs()]
        bar = track(steps, 'comparison', note=lambda: training_step(self.log))
        for number, (title, step) in enumerate(bar, 1):
            place = f'{number} of {len(steps)}'
            print(f'[compare] {place}: {title}', flush=True)
            step()

    def runs(self) -> Iterator[Run]:
        """All trainings, seeds outermost: each start is trained early."""
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
        initial = self.backbone('initial')
        cfg, base = load_source(self.args.detector)
        edits = ConfigEdits(cfg)
        use_labels(edits, self.args, self.classes, self.train, self.val)
        title = 'The detector on the labels of this comparison.'
        write_config(edits, base, initial, self.config('data'), title)

        self._save_initial(initial)
        for name in ('initial', *self.args.weights):
            self.make_config(name)
        cfg, base = load_source(str(self.config('initial')))
        edits = ConfigEdits(cfg)
        start_at_random(edits)
        title = f'The detector from {RANDOM}; nothing else differs.'
        write_config(edits, base, initial, self.config(RANDOM), title)

        labels = dict.fromkeys(self.labels(run) for run in self.runs())
        cfg = Config.fromfile(self.config(RANDOM))
        check_detector(cfg, self.args.detector_options, list(labels))

    def _save_initial(self, path: Path) -> None:
        cfg = Config.fromfile(self.args.pretraining)
        options = self.args.pretraining_options
        override(cfg, options, '--pretraining-options')
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            model: Any = MODELS.build(cfg.model)
        meta = {META_KEY: describe_model(model, 0)}
        checkpoint = {'state_dict': model.state_dict(), 'meta': meta}
        save_backbone(path, extract_backbone(checkpoint))
        if given := self.args.init_from:
            load_initial_weights(model, read_checkpoint(given), str(given))

    def list_unlabelled(self) -> None:
        """Leave validation images out of the unlabelled ones."""
        found, kept = self.out / 'copies.json', self.out / 'unlabelled.json'
        if not found.is_file():
            copies = unlabelled_without_copies(
                self.args.images, self.val, self.args.val_images, kept
            )
            rows = [copy._asdict() for copy in copies]
            found.write_text(json.dumps(rows, indent=2))
        self.copies = json.loads(found.read_text())
        self.num_unlabelled = len(read_image_list(str(kept)))
        count = len(self.copies)
        print(
            f'[compare] {count} of {self.num_unlabelled + count} unlabelled '
            'images are validation images or near copies of them: left out',
            flush=True,
        )

    def pretrain(self, name: str) -> None:
        """Pretrain SCE; make its backbone file and its detector config."""
        folder = self.out / 'runs' / in_path(name)
        if not self.backbone(name).is_file():
            begin: list[object] = []
            # A run that was interrupted has its weights.
            if name == CONTINUED and not list(folder.glob('epoch_*.pth')):
                begin = ['--init-from', self.args.init_from]
            data, _ = innermost_dataset(Config.fromfile(self.args.pretraining))
            self.start('tools/train.py', [
                self.args.pretraining, '--work-dir', folder, '--resume',
                *begin, '--cfg-options',
                f'{data}.data_root=',
                f'{data}.ann_file={self.out}/unlabelled.json',
                *self.args.pretraining_options,
            ], folder)  # fmt: skip
            words = [last_checkpoint(folder), self.backbone(name)]
            tool = 'tools/model_converters/extract_backbone.py'
            self.start(tool, words, folder)
        self.make_config(name)

    def make_config(self, name: str) -> None:
        """Make the detector's config with the backbone file of a source."""
        data, out = str(self.config('data')), self.config(name)
        make_config(data, self.backbone(name), out, overwrite=True)

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
            ``checkpoint`` and ``backbone``.
        """
        folder = self.out / 'runs' / run.folder
        result = folder / 'result.json'
        if not result.is_file():
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
            found['checkpoint'] = str(last_checkpoint(folder))
            if run.source != RANDOM:
                found['backbone'] = str(self.backbone(run.source))
            result.write_text(json.dumps(found, indent=2))
        return json.loads(result.read_text())

    def results(self) -> Results:
        """Metrics by source and percentage, one dict a seed."""
        found: Results = {source: {} for source in self.sources}
        for source in found:
            for percent in sorted(self.args.percent):
                runs = [Run(source, percent, s) for s in self.args.seeds]
                found[source][percent] = [self.measure(run) for run in runs]
        return found

    def start(self, script: str, words: list, folder: Path) -> None:
        """Run one command with its log in a folder."""
        command = Command(script, words, threads=self.args.threads)
        self.log = command.log(folder)
        print(f'[compare] {command.shown()}', flush=True)
        run_together([command], folder)
