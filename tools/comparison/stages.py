"""What a comparison does, in order; each step is done once."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

from sce_mm.commands import Command, run_together
from sce_mm.detection.adapt import load_source, start_at_random, write_config
from sce_mm.detection.adapt.plan import Plan
from sce_mm.training_data import innermost_dataset
from sce_mm.transfer import save_backbone, tensor_hash
from sce_mm.transfer.backbone import FORMAT, VERSION
from sce_mm.transfer.meta_hook import describe_backbone, describe_input

from .labels import plan_data, read_coco, unlabelled_without_copies
from .results import CONTINUED, RANDOM, SCE, Run, in_path, last_metrics


class Comparison:
    """The steps, their files and their results.

    Args:
        args: Of tools/compare.py, paths absolute.

    Raises:
        ValueError: The arguments do not fit together.
        OSError: A file is missing.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.out: Path = args.out
        self.sources = [RANDOM, *args.weights, SCE]
        if args.init_from:
            self.sources.append(CONTINUED)
        if len(set(self.sources)) < len(self.sources):
            raise ValueError(f'names repeat among {self.sources}')
        for path in [*args.weights.values(), args.pretraining, args.init_from]:
            if path is not None and not path.is_file():
                raise FileNotFoundError(f'there is no file {path}')
        self.train = read_coco(args.train, args.train_images)
        self.val = read_coco(args.val, args.val_images)
        self.classes = [c['name'] for c in self.train['categories']]
        if self.classes != [c['name'] for c in self.val['categories']]:
            raise ValueError(
                f'{args.train.name} and {args.val.name} name different '
                'categories, or in another order'
            )
        self.commands: list[str] = []

    def run(self) -> None:
        """All steps; what is there already is used."""
        self.check_detector()
        self.list_unlabelled()
        for name, words in self.pretrainings().items():
            self.pretrain(name, words)
        for name in self.sources[1:]:
            self.make_config(name, self.backbone(name))
        for run in self.runs():
            self.measure(run)

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

    def check_detector(self) -> None:
        """Write the detector's configs from random initialisation.

        The network before its pretraining goes the way that the pretrained
        one will go, so that what does not fit is found before the hours.
        """
        data = self.out / 'configs' / 'data.py'
        source = load_source(self.args.detector)
        plan = Plan(source.cfg)
        plan_data(plan, self.args, self.classes, self.train, self.val)
        title = 'The detector on the labels of this comparison.'
        initial = self.out / 'backbones' / 'initial.pth'
        write_config(plan, source.base, initial, data, title)
        self._save_initial(initial)
        self.make_config('initial', initial)
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
        backbone = model.backbone.state_dict()
        meta = {
            'format': FORMAT,
            'version': VERSION,
            'source': 'sce_mm, before pretraining',
            'branch': 'online',
            'sha256': tensor_hash(backbone),
            'method': 'SCE',
            'epochs': 0,
            **describe_backbone(model.backbone),
            **describe_input(model.data_preprocessor),
        }
        save_backbone(path, backbone, meta)

    def list_unlabelled(self) -> None:
        """Leave validation images out of the unlabelled ones."""
        found = self.out / 'copies.json'
        if not found.is_file():
            copies = unlabelled_without_copies(
                self.args.images,
                self.val,
                self.args.val_images,
                self.out / 'unlabelled.txt',
            )
            rows = [copy._asdict() for copy in copies]
            found.write_text(json.dumps(rows, indent=2))
        self.copies = json.loads(found.read_text())
        names = (self.out / 'unlabelled.txt').read_text().splitlines()
        self.num_unlabelled = len(names)
        print(
            f'[compare] {len(self.copies)} of '
            f'{len(names) + len(self.copies)} unlabelled images are '
            'validation images or near copies of them: left out',
            flush=True,
        )

    def pretrainings(self) -> dict[str, list[object]]:
        """Words that each pretraining has beside the common ones."""
        words: dict[str, list[object]] = {SCE: []}
        if self.args.init_from:
            words[CONTINUED] = ['--init-from', self.args.init_from]
        return words

    def pretrain(self, name: str, words: list[object]) -> None:
        """SCE on the unlabelled images, and its backbone in a file."""
        if self.backbone(name).is_file():
            return
        folder = self.out / 'runs' / in_path(name)
        if list(folder.glob('epoch_*.pth')):
            words = []
        self.start('tools/train.py', [
            self.args.pretraining, '--work-dir', folder, '--resume', *words,
            '--cfg-options',
            'train_dataloader.dataset.data_root=',
            f'train_dataloader.dataset.ann_file={self.out}/unlabelled.txt',
            *self.args.pretraining_options,
        ], folder)  # fmt: skip
        checkpoint = (folder / 'last_checkpoint').read_text().strip()
        self.start(
            'tools/model_converters/extract_backbone.py',
            [checkpoint, self.backbone(name)],
            folder,
        )

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
                self.args.train, '--percent', f'{run.percent:g}',
                '--seed', run.seed, '--out-dir', folder,
            ], folder)  # fmt: skip
        return folder / name

    def measure(self, run: Run) -> dict[str, float]:
        """Train and evaluate one detector; its metrics in percent."""
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
            result.write_text(json.dumps(last_metrics(folder), indent=2))
        return json.loads(result.read_text())

    def start(self, script: str, words: list, folder: Path) -> None:
        """Run one command with its log in a folder."""
        command = Command(script, words, threads=self.args.threads)
        print(f'[compare] {command.shown()}', flush=True)
        self.commands.append(command.shown())
        run_together([command], folder)


def overrides(words: list[str]) -> dict[str, Any]:
    """Values of ``key=value`` words, as every tool reads them."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--o', nargs='*', action=DictAction)
    return parser.parse_args(['--o', *words]).o
