"""Run a comparison: check, pretrain, train each detector, write the page."""

import argparse
import json
import signal
import tempfile
from collections.abc import Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from ...config.errors import raise_all
from ...config.parts import innermost_dataset, samples_of_an_image
from ...config.reading import override
from ...datasets.images.file_lists import read_image_list
from ...datasets.labels.coco_labels import notes, read_coco
from ...downstream import (
    ConfigEdits,
    load_source,
    make_config,
    start_at_random,
    write_config,
)
from ...transfer import save_backbone
from ...utils.commands import (
    Command,
    Job,
    run_jobs,
    run_together,
    training_step,
)
from ...utils.errors import UserError
from ...utils.folder_lock import FolderInUseError, FolderLock
from ...utils.progress import track
from ...utils.text import printable
from ..adapt import adapt
from .labels import check_detector, unlabelled_without_copies, use_labels
from .pretraining import Start, list_starts
from .report import write_report
from .results import (
    RANDOM,
    TESTED,
    Results,
    check_inputs,
    describe_machine,
    in_path,
    last_checkpoint,
    last_metrics,
    seconds_of,
    was_evaluated,
    write_json,
)
from .schedules import ALL, Schedule, make_schedule

Commands = Iterator[tuple[Command, Path]]
# Seconds that a training has to save, after whoever started it was killed.
_PATIENCE = 120.0


class Run(NamedTuple):
    """One training of the detector."""

    start: Start
    percent: float
    seed: int

    def __str__(self) -> str:
        which = self.start.source
        if self.start.seed is not None:
            which += f' (pretraining with seed {self.start.seed})'
        return (
            f'detector from {which}, {self.percent:g} % of the labels, '
            f'seed {self.seed}'
        )


def compare(args: argparse.Namespace) -> None:
    """Run all steps that are not done yet, and write the report.

    Args:
        args: Arguments of tools/compare.py; all paths are absolute.

    Raises:
        ConfigError: Labels are wrong, or inputs differ from those of the
            results in the output folder; the message lists all problems.
        RuntimeError: A command failed; the message has the end of its log.
        UserError: Another comparison writes to the output folder.
    """
    # Stops the trainings that run, which save where they are, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    Comparison(args).run()


class Comparison:
    """The steps, their files and their results; see :func:`compare`."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.out: Path = args.out
        self.starts = list_starts(args)
        self.sources = list(self.starts)
        self.train, problems = read_coco(args.train, args.train_images)
        self.val, more = read_coco(args.val, args.val_images)
        problems += more
        names = [*map(in_path, self.sources), 'data', 'initial']
        if len(set(names)) < len(names):
            others = [n for n in self.sources if n not in args.variants]
            others = [n for n in others if n not in args.weights]
            problems.append(
                '--weights, --variant: names must differ in a letter or digit '
                f'from each other and from {", ".join(others)}, data, initial'
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
        self.classes = [c['name'] for c in self.train['categories']]
        for path, content in ((args.train, self.train), (args.val, self.val)):
            for note in notes(content):
                print(f'[compare] {printable(path.name)}: {note}')
        self.machine = describe_machine()
        # Logs of what runs.
        self.logs: dict[str, Path] = {}

    def run(self) -> None:
        """Make all steps that are not done yet, and write the report.

        Raises:
            ConfigError: The folder holds trainings on other inputs.
            UserError: Another comparison writes to the output folder.
        """
        try:
            lock = FolderLock(self.out, patience=1)
        except FolderInUseError as error:
            raise UserError(
                f'another comparison runs in {self.out}: wait until it has '
                'ended, or name another OUT'
            ) from error
        with closing(lock):
            self.inputs = check_inputs(self.args)
            self.check_start()
            self.list_unlabelled()
            self.plan_regions()
            self._run_jobs()
            write_json(self.out / 'results.json', self.record())
            write_report(self)

    def _run_jobs(self) -> None:
        steps = list(dict.fromkeys(self.steps()))
        missing = [step for step in steps if not self.is_done(step)]
        names = {str(step) for step in missing}
        places = {
            str(step): f'{number} of {len(steps)}'
            for number, step in enumerate(steps, 1)
        }
        if done := len(steps) - len(missing):
            print(f'[compare] {done} of {len(steps)} steps are done already')
        jobs = []
        for step in missing:
            if isinstance(step, Start):
                jobs.append(Job(str(step), self.pretrain(step)))
            else:
                after = names & {str(step.start)}
                jobs.append(Job(str(step), self.measure(step), [*after]))

        def starting(job: Job, command: Command, log: Path) -> None:
            self.logs[job.name] = log
            lines = f'{places[job.name]}: {job.name}', command.shown()
            print(
                *(f'[compare] {line}' for line in lines), sep='\n', flush=True
            )

        def note() -> str:
            return '; '.join(
                filter(None, map(training_step, [*self.logs.values()]))
            )

        with closing(run_jobs(jobs, self.args.jobs, starting)) as ended:
            for job in track(ended, 'comparison', len(jobs), note):
                self.logs.pop(job.name, None)
                if self.args.jobs > 1:
                    print(
                        f'[compare] {places[job.name]} has ended: {job.name}',
                        flush=True,
                    )

    def steps(self) -> Iterator[Start | Run]:
        """All steps: pretrainings come before the first detector from them."""
        for run in self.runs():
            if run.start.recipe:
                yield run.start
            yield run

    def runs(self) -> Iterator[Run]:
        """All trainings of a detector.

        Seeds are outermost, so that a first answer comes early, and each seed
        takes the next pretraining.
        """
        repetitions = list(enumerate(self.args.seeds))
        for (number, seed), percent in product(repetitions, self.args.percent):
            for starts in self.starts.values():
                yield Run(starts[number % len(starts)], percent, seed)

    def is_done(self, step: Start | Run) -> bool:
        """Whether the result of a step is there."""
        if isinstance(step, Run):
            return (self.folder(step) / 'result.json').is_file()
        return (
            self.backbone(step).is_file()
            and (self.folder(step) / 'pretraining.json').is_file()
        )

    def folder(self, step: Start | Run) -> Path:
        """Where a training writes."""
        name = step.key if isinstance(step, Start) else ''
        if isinstance(step, Run):
            name = f'{step.start.key}_{step.percent:g}pct_seed{step.seed}'
            schedule = self.schedule(step)
            if schedule.overrides:
                name += f'_{schedule.iterations}iterations'
        return self.out / 'runs' / name

    def config(self, source: str) -> Path:
        """Detector config of a source; of its first pretraining."""
        starts = self.starts.get(source)
        return self._config(starts[0].config_key if starts else source)

    def _config(self, key: str) -> Path:
        return self.out / 'configs' / f'{key}.py'

    def backbone(self, start: Start) -> Path:
        """Backbone file of a start."""
        given = self.args.weights.get(start.source)
        return given or self.out / 'backbones' / f'{start.key}.pth'

    def check_start(self) -> None:
        """Find what does not fit before the hours of pretraining.

        The networks before their pretraining go the way that the pretrained
        ones will go, weights that are given become configs, and data sets and
        metric of the detector are used once.
        """
        initial = self.out / 'backbones' / 'initial.pth'
        cfg, base = load_source(self.args.detector)
        edits = ConfigEdits(cfg)
        use_labels(edits, self.args, self.classes, self.train, self.val)
        title = 'The detector on the labels of this comparison.'
        write_config(edits, base, initial, self._config('data'), title)

        self.check_pretraining(initial)
        for name in self.args.weights:
            self.make_config(self.starts[name][0])
        cfg, base = load_source(str(self._config('initial')))
        edits = ConfigEdits(cfg)
        start_at_random(edits)
        title = f'The detector from {RANDOM}; nothing else differs.'
        write_config(
            edits, base, initial, self._config(in_path(RANDOM)), title
        )

        labels = dict.fromkeys(self.labels(run) for run in self.runs())
        if self.args.min_iterations == ALL:
            labels[self.args.train] = None
        cfg = Config.fromfile(self._config(in_path(RANDOM)))
        self.batches = check_detector(
            cfg, self.args.detector_options, list(labels)
        )
        # It has the overrides now.
        self.detector = cfg
        self.print_lengths()

    def check_pretraining(self, initial: Path) -> None:
        """Let each network go through the transfer before it is trained."""
        data = str(self._config('data'))
        detector = Config.fromfile(data)
        override(detector, self.args.detector_options, '--detector-options')
        # The scale at which it sees objects, for those who cut regions.
        detector.dump(self.out / 'detector.py')
        pretrained = [s for s in self.starts.values() if s[0].recipe]
        for number, (start, *more) in enumerate(pretrained):
            recipe = start.recipe
            assert recipe
            backbone = recipe.check(
                self.args.images, self.out, self.train, detector
            )
            if number == 0:
                save_backbone(initial, backbone)
                out = self._config('initial')
                make_config(data, initial, out, adapt, overwrite=True)
            else:
                with tempfile.TemporaryDirectory(dir=self.out) as folder:
                    file = Path(folder) / 'initial.pth'
                    save_backbone(file, backbone)
                    out = Path(folder) / 'initial.py'
                    make_config(data, file, out, adapt)
            seeds = [s.seed for s in (start, *more)]
            text = f'seeds {", ".join(map(str, seeds))}'
            if start.seed is None:
                text = f'the seed of its config, {recipe.own_seed()}'
            print(f'[compare] {start.source} is pretrained with {text}')

    def print_lengths(self) -> None:
        """Say how long the detectors train, with each part of the labels."""
        found: dict[tuple[float, float], dict[str, None]] = {}
        for run in self.runs():
            texts = found.setdefault((run.percent, run.start.factor), {})
            texts[str(self.schedule(run))] = None
        for (percent, factor), texts in found.items():
            whom = '' if factor == 1 else f' (those {factor:g} x as long)'
            print(
                f'[compare] detectors on {percent:g} % of the labels{whom} '
                f'train for {" or ".join(texts)}',
                flush=True,
            )

    def schedule(self, run: Run) -> Schedule:
        """How long a detector trains."""
        wanted = self.args.min_iterations
        if wanted == ALL:
            batches = self.batches[self.args.train]
            wanted = make_schedule(self.detector, batches).iterations
        batches = self.batches[self.labels(run)]
        return make_schedule(self.detector, batches, wanted, run.start.factor)

    def list_unlabelled(self) -> None:
        """Leave validation images out of the unlabelled ones."""
        found, kept = self.out / 'copies.json', self.unlabelled
        if not found.is_file():
            copies = unlabelled_without_copies(
                self.args.images, self.val, self.args.val_images, kept
            )
            write_json(found, [copy._asdict() for copy in copies])
        self.copies = json.loads(found.read_text())
        self.num_unlabelled = len(read_image_list(str(kept)))
        count = len(self.copies)
        print(
            f'[compare] {count} of {self.num_unlabelled + count} unlabelled '
            'images are validation images or near copies of them: left out',
            flush=True,
        )

    def plan_regions(self) -> None:
        """Say what each pretraining sees.

        All get as many samples of an image as the plain one, which comes
        first, so that none is trained for longer.
        """
        detector = Config.fromfile(self.out / 'detector.py')
        self.per_image: int | None = self.args.regions_per_image
        for start, *_ in self.starts.values():
            if start.recipe is None:
                continue
            cfg = start.recipe.read_for(self.unlabelled)
            for line in start.recipe.cut_regions(
                cfg, self.train, detector, self.per_image
            ):
                print(f'[compare] {start.source}: {line}', flush=True)
            if self.per_image is None:
                self.per_image = samples_of_an_image(cfg)

    @property
    def unlabelled(self) -> Path:
        """List of the images that all pretrainings read."""
        return self.out / 'unlabelled.json'

    def pretrain(self, start: Start) -> Commands:
        """Pretrain SCE; make its backbone file and its detector config."""
        folder, recipe = self.folder(start), start.recipe
        assert recipe
        words = recipe.train_words(self.unlabelled, start.seed)
        words[1:1] = recipe.region_words(
            self.args.train, self.out / 'detector.py', self.per_image
        )
        # A run that was interrupted has its weights.
        if recipe.init_from and not list(folder.glob('*.pth')):
            words += ['--init-from', recipe.init_from]
        words = [*words[:1], '--work-dir', folder, *words[1:]]
        train = self.command('tools/train.py', words)
        if not self.backbone(start).is_file():
            self.await_folder(folder)
            yield train, folder
            tool = 'tools/model_converters/extract_backbone.py'
            words = [last_checkpoint(folder), self.backbone(start)]
            yield self.command(tool, words), folder
        write_json(
            folder / 'pretraining.json',
            {'seed': start.seed, **self.circumstances(train, folder)},
        )

    def make_config(self, start: Start) -> None:
        """Make the detector's config with the backbone file of a start."""
        data, out = str(self._config('data')), self._config(start.key)
        make_config(data, self.backbone(start), out, adapt, overwrite=True)

    def labels(self, run: Run) -> Path:
        """Annotation file of a run, written if it is a part."""
        if run.percent == 100:
            return self.args.train
        folder = self.out / 'labels'
        name = f'{self.args.train.stem}.{run.seed}@{run.percent:g}.json'
        if not (folder / name).is_file():
            command = self.command('tools/dataset_converters/coco_subset.py', [
                self.args.train, '--percent',
                *(f'{p:g}' for p in self.args.percent if p != 100),
                '--seed', run.seed, '--out-dir', folder,
            ])  # fmt: skip
            print(f'[compare] {command.shown()}', flush=True)
            run_together([command], folder)
        return folder / name

    def measure(self, run: Run) -> Commands:
        """Train and evaluate one detector; write its ``result.json``.

        That has metrics in per cent, ``classes`` with AP of each class,
        ``seed``, ``checkpoint``, ``backbone``, and how it was trained.
        """
        folder, start, schedule = (
            self.folder(run),
            run.start,
            self.schedule(run),
        )
        if start.recipe:
            self.make_config(start)
        config = self._config(start.config_key)
        cfg = Config.fromfile(config)
        where, _ = innermost_dataset(cfg)
        train = self.command('tools/train.py', [
            config, '--work-dir', folder, '--resume',
            '--cfg-options', f'randomness.seed={run.seed}',
            f'{where}.ann_file={self.labels(run)}',
            'default_hooks.checkpoint.max_keep_ckpts=1',
            *self.args.detector_options,
            *schedule.overrides,
        ])  # fmt: skip
        self.await_folder(folder)
        yield train, folder
        if not was_evaluated(folder):
            words = ['--cfg-options', *self.args.detector_options]
            yield self.command('tools/test.py', [
                config, last_checkpoint(folder), '--work-dir', folder,
                '--out', folder / TESTED, *(words if words[1:] else []),
            ]), folder  # fmt: skip
        masks = 'segm' in cfg.val_evaluator.metric
        found = last_metrics(folder, self.classes, masks)
        found |= {
            'seed': run.seed,
            'checkpoint': str(last_checkpoint(folder)),
            'iterations': schedule.iterations,
            'epochs': schedule.epochs,
            **self.circumstances(train, folder),
        }
        if start.recipe:
            found['pretraining'] = start.key
        if start.recipe or start.source in self.args.weights:
            found['backbone'] = str(self.backbone(start))
        write_json(folder / 'result.json', found)

    def await_folder(self, folder: Path) -> None:
        """Wait for a training of a comparison that was killed."""
        FolderLock(folder, _PATIENCE).close()

    def circumstances(self, train: Command, folder: Path) -> dict[str, Any]:
        """How a training was run: what repeats it, and what its time means."""
        return {
            'command': ['python', train.script, *map(str, train.words)],
            'seconds': seconds_of(folder),
            'threads': self.args.threads,
            'jobs': self.args.jobs,
            'machine': self.machine,
        }

    def results(self) -> Results:
        """Metrics by source and percentage, one dict a seed."""
        found: Results = {
            source: {percent: [] for percent in sorted(self.args.percent)}
            for source in self.sources
        }
        for run in self.runs():
            result = json.loads((self.folder(run) / 'result.json').read_text())
            found[run.start.source][run.percent].append(result)
        return found

    def pretrainings(self) -> dict[str, dict[str, Any]]:
        """How each was run, by the key that results name."""
        starts = [step for step in self.steps() if isinstance(step, Start)]
        return {
            start.key: {'source': start.source}
            | json.loads((self.folder(start) / 'pretraining.json').read_text())
            for start in dict.fromkeys(starts)
        }

    def record(self) -> dict[str, Any]:
        """All that is known of the comparison, to read or to run again."""
        return {
            'results': self.results(),
            'pretrainings': self.pretrainings(),
            'inputs': self.inputs,
            'unlabelled images': self.num_unlabelled,
            'left out': len(self.copies),
        }

    def command(self, script: str, words: list) -> Command:
        """A command with the threads of this comparison."""
        return Command(script, words, threads=self.args.threads)
