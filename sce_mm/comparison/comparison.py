"""Run a comparison: check, pretrain, train each predictor, write the page."""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from ..config.errors import raise_all
from ..config.parts import innermost_dataset, samples_of_an_image
from ..config.reading import override
from ..downstream import (
    AdaptError,
    ConfigEdits,
    load_base,
    make_config,
    start_at_random,
    write_config,
)
from ..transfer import save_backbone
from ..utils.checks import require_own_folder
from ..utils.durable_files import write_json
from ..utils.errors import UserError
from ..utils.folder_lock import FolderInUseError, FolderLock
from ..utils.option_values import as_word
from ..utils.progress import Progress
from ..utils.progress import clock as as_clock
from ..utils.run_commands import (
    Command,
    Job,
    run_jobs,
    training_step,
)
from .pairing import choose_pairs
from .pretraining import Start, list_starts
from .report import write_report
from .results import (
    INPUTS,
    RANDOM,
    TESTED,
    Results,
    describe_machine,
    in_path,
    last_checkpoint,
    last_logged,
    seconds_of,
    was_evaluated,
)
from .schedules import Schedule, make_schedule
from .settings import Settings, adopt_inputs
from .task import Task
from .time_left import TimeLeft
from .unlabelled import Unlabelled

Commands = Iterator[tuple[Command, Path]]
# Seconds that a training has to save, after whoever started it was killed.
_PATIENCE = 120.0


class Run(NamedTuple):
    """One training of the predictor."""

    predictor: str
    start: Start
    percent: float
    seed: int

    def __str__(self) -> str:
        which = self.start.source
        if self.start.seed is not None:
            which += f' (pretraining with seed {self.start.seed})'
        return (
            f'{self.predictor} from {which}, {self.percent:g} % of the '
            f'labels, seed {self.seed}'
        )


def compare(
    settings: Settings,
    task: Task,
    checked: Callable[[], object] = lambda: None,
) -> None:
    """Run all steps that are not done yet, and write the report.

    Args:
        settings: What is asked for.
        task: What is trained, on which labels.
        checked: Called when nothing was found to be wrong.

    Raises:
        ConfigError: Labels are wrong, or inputs differ from those of the
            results in the output folder; the message lists all problems.
        UserError: A command failed; the message has the end of its log.
        UserError: Another comparison writes to the output folder.
        FileExistsError: The output folder holds something else.
    """
    require_own_folder(settings.out, INPUTS, 'comparison')
    try:
        Comparison(settings, task).run(checked)
    except KeyboardInterrupt:
        print(
            '[compare] stopped: the same command goes on from here',
            file=sys.stderr,
        )
        raise


class Comparison:
    """The steps, their files and their results; see :func:`compare`."""

    def __init__(self, settings: Settings, task: Task) -> None:
        self.settings = settings
        self.task = task
        self.out = settings.out
        self.starts = list_starts(settings)
        self.sources = list(self.starts)
        problems = task.read()
        names = [*map(in_path, self.sources), 'data', 'initial']
        if len(set(names)) < len(names):
            others = [n for n in self.sources if n not in settings.variants]
            others = [n for n in others if n not in settings.weights]
            problems.append(
                '--weights, --variant: names must differ in a letter or digit '
                f'from each other and from {", ".join(others)}, data, initial'
            )
        raise_all(problems, 'found before anything started')
        for note in task.notes():
            print(f'[compare] {note}')
        self.unlabelled = Unlabelled(settings.images, self.out)
        self.machine = describe_machine()
        # Logs of what runs.
        self.logs: dict[str, Path] = {}
        # By prepare: inputs by option, the pretraining of each seed, the
        # config of the predictor and the batches of an epoch with its labels.
        self.inputs: dict[str, Any]
        self.pairs: dict[int, int]
        self.predictor_config: Config
        self.batches: dict[Path, int]
        # By plan_regions: samples of an image in each pretraining.
        self.per_image: int | None = settings.regions_per_image

    def run(self, checked: Callable[[], object] = lambda: None) -> None:
        """Make all steps that are not done yet, and write the report.

        Args:
            checked: Called when nothing was found to be wrong.

        Raises:
            ConfigError: The folder holds trainings on other inputs.
            UserError: Another comparison writes to the output folder.
        """
        new = not self.out.exists()
        try:
            lock = FolderLock(self.out, patience=1)
        except FolderInUseError as error:
            raise UserError(
                f'another comparison runs in {self.out}: wait until it has '
                'ended, or name another OUT'
            ) from error
        with closing(lock):
            try:
                self.prepare()
            except Exception:
                if new:
                    shutil.rmtree(self.out, ignore_errors=True)
                raise
            checked()
            self.keep_pixels()
            try:
                self.unlabelled.leave_out(
                    self.task.val_images(), self.decoders
                )
            except UserError:
                if new:
                    shutil.rmtree(self.out, ignore_errors=True)
                raise
            self.plan_regions()
            self._run_jobs()
            write_json(self.out / 'results.json', self.record())
            write_report(self)

    def prepare(self) -> None:
        """Make what the trainings start from; find what is wrong."""
        self.inputs = adopt_inputs(self.settings, self.task)
        # Before the predictors are checked, which takes longer.
        self.unlabelled.require_images()
        self.pair_seeds()
        self.prepare_configs()

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
        clock = self.time_left(steps, missing)
        for step in missing:
            if isinstance(step, Start):
                jobs.append(Job(str(step), self.pretrain(step)))
            else:
                after = names & {str(step.start)}
                jobs.append(
                    Job(str(step), self.train_predictor(step), [*after])
                )

        def starting(job: Job, command: Command, log: Path) -> None:
            self.logs[job.name] = log
            clock.begin(job.name, time.monotonic())
            lines = f'{places[job.name]}: {job.name}', command.shown()
            print(
                *(f'[compare] {line}' for line in lines), sep='\n', flush=True
            )

        def note() -> str:
            notes = [*filter(None, map(training_step, self.logs.values()))]
            if left := clock.left(time.monotonic()):
                notes.append(f'all: {as_clock(left)} left')
            return '; '.join(notes)

        with (
            Progress('comparison', len(jobs), note) as progress,
            closing(
                run_jobs(jobs, self.settings.jobs, starting, progress.wait)
            ) as ended,
        ):
            for job in ended:
                self.logs.pop(job.name, None)
                clock.end(job.name, time.monotonic())
                progress.advance()
                if self.settings.jobs > 1:
                    print(
                        f'[compare] {places[job.name]} has ended: {job.name}',
                        flush=True,
                    )

    def time_left(
        self, steps: Sequence[Start | Run], missing: Sequence[Start | Run]
    ) -> TimeLeft:
        """What is left, and how long what is done took."""
        clock = TimeLeft(self.settings.jobs)
        for step in steps:
            if isinstance(step, Start):
                file, kind, amount = 'pretraining.json', 'pretraining', 1
            else:
                file, kind = 'result.json', 'training'
                amount = self.schedule(step).iterations
            if step in missing:
                clock.plan(str(step), kind, amount)
                continue
            found = json.loads((self.folder(step) / file).read_text())
            if seconds := found.get('seconds'):
                clock.learn(kind, amount, seconds)
        return clock

    def steps(self) -> Iterator[Start | Run]:
        """All steps: pretrainings come before what is trained from them."""
        for run in self.runs():
            if run.start.recipe:
                yield run.start
            yield run

    def pair_seeds(self) -> None:
        """Choose the pretraining that each seed takes."""
        self.pairs = dict.fromkeys(self.settings.seeds, 0)
        if pretrainings := self.settings.pretraining_seeds:
            self.pairs, note = choose_pairs(
                self.out, self.settings.seeds, pretrainings, self.starts
            )
            if note:
                print(f'[compare] {note}', flush=True)

    def runs(self) -> Iterator[Run]:
        """All trainings of the predictor.

        Seeds are outermost, so that a first answer comes early.
        """
        for (seed, number), percent in product(
            self.pairs.items(), self.settings.percent
        ):
            for starts in self.starts.values():
                start = starts[number if len(starts) > 1 else 0]
                yield Run(self.task.predictor, start, percent, seed)

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
        """Config of the predictor from a source; of its first pretraining."""
        starts = self.starts.get(source)
        return self._config(starts[0].config_key if starts else source)

    def _config(self, key: str) -> Path:
        return self.out / 'configs' / f'{key}.py'

    def backbone(self, start: Start) -> Path:
        """Backbone file of a start."""
        given = self.settings.weights.get(start.source)
        return given or self.out / 'backbones' / f'{start.key}.pth'

    @property
    def overridden(self) -> Path:
        """Config of the predictor on the labels, with all overrides."""
        return self.out / f'{self.task.predictor}.py'

    def prepare_configs(self) -> None:
        """Write the configs; find what does not fit before the hours.

        The networks before their pretraining go the way that the pretrained
        ones will go, weights that are given become configs, and data sets and
        metric of the predictor are used once.
        """
        name = self.task.predictor
        initial = self.out / 'backbones' / 'initial.pth'
        cfg, base = load_base(self.task.config)
        edits = ConfigEdits(cfg)
        try:
            self.task.use_labels(edits)
        except AdaptError as error:
            raise AdaptError(f'--{name}: {error}') from error
        title = f'The {name} on the labels of this comparison.'
        write_config(edits, base, initial, self._config('data'), title)

        self.prepare_pretrainings(initial)
        for name in self.settings.weights:
            try:
                self.make_config(self.starts[name][0])
            except UserError as error:
                message = f'--weights {name}: {error}'
                raise type(error)(message) from error
        cfg, base = load_base(str(self._config('initial')))
        edits = ConfigEdits(cfg)
        start_at_random(edits)
        title = f'The {name} from {RANDOM}; nothing else differs.'
        write_config(
            edits, base, initial, self._config(in_path(RANDOM)), title
        )

        labels = dict.fromkeys(self.labels(run) for run in self.runs())
        if self.settings.min_iterations:
            labels[self.task.labels(100, 0)] = None
        cfg = Config.fromfile(self._config(in_path(RANDOM)))
        self.batches = self.task.check(cfg, list(labels))
        # task.check has written the overrides into it.
        self.predictor_config = cfg
        self.print_lengths()

    def prepare_pretrainings(self, initial: Path) -> None:
        """Let each network go through the transfer before it is trained."""
        data = str(self._config('data'))
        predictor = Config.fromfile(data)
        name = self.task.predictor
        override(predictor, self.task.options, f'--{name}-options')
        # The scale at which it sees objects, for those who cut regions.
        predictor.dump(self.overridden)
        pretrained = [s for s in self.starts.values() if s[0].recipe]
        for number, (start, *more) in enumerate(pretrained):
            recipe = start.recipe
            assert recipe
            backbone = recipe.check(
                self.unlabelled, self.out, self.task.boxes, predictor
            )
            if number == 0:
                save_backbone(initial, backbone)
                out = self._config('initial')
                make_config(
                    data, initial, out, self.task.adapt, overwrite=True
                )
            else:
                with tempfile.TemporaryDirectory(dir=self.out) as folder:
                    file = Path(folder) / 'initial.pth'
                    save_backbone(file, backbone)
                    out = Path(folder) / 'initial.py'
                    make_config(data, file, out, self.task.adapt)
            seeds = [s.seed for s in (start, *more)]
            text = f'seeds {", ".join(map(str, seeds))}'
            if start.seed is None:
                text = f'the seed of its config, {recipe.own_seed()}'
            print(f'[compare] {start.source} is pretrained with {text}')

    def print_lengths(self) -> None:
        """Say how long the predictors train, with each part of the labels."""
        found: dict[tuple[float, float], dict[str, None]] = {}
        for run in self.runs():
            texts = found.setdefault((run.percent, run.start.factor), {})
            texts[str(self.schedule(run))] = None
        for (percent, factor), texts in found.items():
            whom = '' if factor == 1 else f' (those {factor:g} x as long)'
            print(
                f'[compare] {self.task.predictor}s on {percent:g} % of the '
                f'labels{whom} train for {" or ".join(texts)}',
                flush=True,
            )

    def schedule(self, run: Run) -> Schedule:
        """How long a predictor trains."""
        wanted = self.settings.min_iterations
        batches = self.batches[self.labels(run)]
        of_all = self.batches.get(self.task.labels(100, 0), batches)
        if isinstance(wanted, str):
            wanted = make_schedule(self.predictor_config, of_all).iterations
        return make_schedule(
            self.predictor_config, batches, wanted, run.start.factor, of_all
        )

    @property
    def decoders(self) -> int:
        """Processes that may decode images."""
        return int(self.settings.jobs * self.settings.threads)

    def keep_pixels(self) -> None:
        """Make a cache of the images if regions are still to be cut."""
        for starts in self.starts.values():
            recipe = starts[0].recipe
            if recipe is None or not recipe.cuts_regions:
                continue
            loading = recipe.loading()
            if loading and not all(map(self.is_done, starts)):
                self.unlabelled.keep_pixels(loading.stretch, self.decoders)
                return

    def plan_regions(self) -> None:
        """Say what each pretraining sees.

        All get as many samples of an image as the plain one, which comes
        first, so that none is trained for longer.
        """
        predictor = Config.fromfile(self.overridden)
        for start, *_ in self.starts.values():
            if start.recipe is None:
                continue
            cfg = start.recipe.read_for(self.unlabelled)
            for line in start.recipe.set_regions(
                cfg,
                self.task.boxes,
                predictor,
                self.unlabelled,
                self.per_image,
            ):
                print(f'[compare] {start.source}: {line}', flush=True)
            if self.per_image is None:
                self.per_image = samples_of_an_image(cfg)

    def pretrain(self, start: Start) -> Commands:
        """Pretrain SCE; make its backbone file and the predictor's config."""
        folder, recipe = self.folder(start), start.recipe
        assert recipe
        words = recipe.train_words(self.unlabelled, start.seed)
        words[1:1] = recipe.region_words(
            self.settings.train, self.overridden, self.per_image
        )
        # A run that was interrupted has its weights.
        if recipe.init_from and not list(folder.glob('*.pth')):
            words += ['--init-from', recipe.init_from]
        words = [*words[:1], '--work-dir', folder, *words[1:]]
        train = self.command('sce train', words)
        if not self.backbone(start).is_file():
            self.await_folder(folder)
            yield train, folder
            tool = 'sce extract'
            words = [last_checkpoint(folder), self.backbone(start)]
            yield self.command(tool, words), folder
        write_json(
            folder / 'pretraining.json',
            {'seed': start.seed, **self.circumstances(train, folder)},
        )

    def make_config(self, start: Start) -> None:
        """Make the predictor's config with the backbone file of a start."""
        data, out = str(self._config('data')), self._config(start.key)
        make_config(
            data, self.backbone(start), out, self.task.adapt, overwrite=True
        )

    def labels(self, run: Run) -> Path:
        """File of the labels of a run."""
        return self.task.labels(run.percent, run.seed)

    def train_predictor(self, run: Run) -> Commands:
        """Train and evaluate one predictor; write its ``result.json``.

        That has metrics in per cent, ``classes`` with one of each class,
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
        train = self.command('sce train', [
            config, '--work-dir', folder, '--resume',
            '--cfg-options', f'randomness.seed={run.seed}',
            as_word(f'{where}.ann_file', self.labels(run)),
            'default_hooks.checkpoint.max_keep_ckpts=1',
            *self.task.options,
            *schedule.overrides,
        ])  # fmt: skip
        self.await_folder(folder)
        yield train, folder
        if not was_evaluated(folder):
            words = ['--cfg-options', *self.task.options]
            yield self.command('sce test', [
                config, last_checkpoint(folder), '--work-dir', folder,
                '--out', folder / TESTED, '--overwrite',
                *(words if words[1:] else []),
            ]), folder  # fmt: skip
        found = self.task.metrics(last_logged(folder), cfg)
        found |= {
            'seed': run.seed,
            'checkpoint': str(last_checkpoint(folder)),
            'iterations': schedule.iterations,
            'epochs': schedule.epochs,
            **self.circumstances(train, folder),
        }
        if start.recipe:
            found['pretraining'] = start.key
        if start.recipe or start.source in self.settings.weights:
            found['backbone'] = str(self.backbone(start))
        write_json(folder / 'result.json', found)

    def await_folder(self, folder: Path) -> None:
        """Wait for a training of a comparison that was killed."""
        FolderLock(folder, _PATIENCE).close()

    def circumstances(self, train: Command, folder: Path) -> dict[str, Any]:
        """How a training was run: what repeats it, and what its time means."""
        return {
            'command': train.typed(),
            'seconds': seconds_of(folder),
            'threads': self.settings.threads,
            'jobs': self.settings.jobs,
            'machine': self.machine,
        }

    def results(self) -> Results:
        """Metrics by source and percentage, one dict a seed."""
        found: Results = {
            source: {percent: [] for percent in sorted(self.settings.percent)}
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
            'unlabelled images': len(self.unlabelled.paths),
            'left out': len(self.unlabelled.copies),
        }

    def command(self, program: str, words: list) -> Command:
        """A command with the threads of this comparison."""
        return Command(program, words, threads=self.settings.threads)
