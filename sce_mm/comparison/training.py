"""Commands that make a step of a comparison, and what is kept of each."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from ..config.parts import innermost_dataset
from ..utils.durable_files import write_json
from ..utils.folder_lock import FolderLock
from ..utils.option_values import as_word
from ..utils.run_commands import Command
from .preparation import configure
from .pretraining import Start
from .results import (
    TESTED,
    describe_machine,
    last_checkpoint,
    last_logged,
    seconds_of,
    was_evaluated,
)
from .schedules import Schedule
from .task import Task
from .unlabelled import Unlabelled

Commands = Iterator[tuple[Command, Path]]
# Seconds that a training has to save, after whoever started it was killed.
_PATIENCE = 120.0


class Run(NamedTuple):
    """One training of the predictor.

    Attributes:
        predictor: What is trained.
        start: What its backbone starts from.
        percent: Part of the labels.
        seed: Seed of the part and of the training.
        labels: File of the part.
        schedule: How long it trains.
    """

    predictor: str
    start: Start
    percent: float
    seed: int
    labels: Path
    schedule: Schedule

    @property
    def folder(self) -> Path:
        """Where it writes."""
        name = f'{self.start.key}_{self.percent:g}pct_seed{self.seed}'
        if self.schedule.overrides:
            name += f'_{self.schedule.iterations}iterations'
        return self.start.out / 'runs' / name

    @property
    def result(self) -> Path:
        """What it reached, once it is done."""
        return self.folder / 'result.json'

    def is_done(self) -> bool:
        """Whether it is trained and evaluated."""
        return self.result.is_file()

    def __str__(self) -> str:
        which = self.start.source
        if self.start.seed is not None:
            which += f' (pretraining with seed {self.start.seed})'
        return (
            f'{self.predictor} from {which}, {self.percent:g} % of the '
            f'labels, seed {self.seed}'
        )


Step = Start | Run


class Trainer:
    """Pretrains, trains and evaluates, each by a program of its own.

    Args:
        task: What is trained, on which labels.
        unlabelled: Images of the pretrainings.
        per_image: Samples of an image in each of them.
    """

    def __init__(
        self, task: Task, unlabelled: Unlabelled, per_image: int | None
    ) -> None:
        self.task = task
        self.settings = task.settings
        self.unlabelled = unlabelled
        self.per_image = per_image
        self.machine = describe_machine()

    def commands(self, step: Step) -> Commands:
        """Commands of a step, with the folders of their logs."""
        if isinstance(step, Start):
            return self._pretrain(step)
        return self._train(step)

    def _pretrain(self, start: Start) -> Commands:
        """Pretrain SCE; make its backbone file."""
        folder, recipe = start.folder, start.recipe
        assert recipe
        words = [
            recipe.config, '--work-dir', folder,
            *recipe.region_words(
                self.settings.train, self.task.overridden, self.per_image
            ),
            '--resume', '--cfg-options',
            *recipe.option_words(self.unlabelled, start.seed),
        ]  # fmt: skip
        # A run that was interrupted has its weights.
        if recipe.init_from and not list(folder.glob('*.pth')):
            words += ['--init-from', recipe.init_from]
        train = self._command('sce train', words)
        if not start.backbone.is_file():
            self._await(folder)
            yield train, folder
            words = [last_checkpoint(folder), start.backbone]
            yield self._command('sce extract', words), folder
        found = {'seed': start.seed, **self._circumstances(train, folder)}
        write_json(start.result, found)

    def _train(self, run: Run) -> Commands:
        """Train and evaluate one predictor.

        Its result has metrics in per cent, ``classes`` with one of each class,
        ``seed``, ``checkpoint``, ``backbone``, and how it was trained.
        """
        folder, start, schedule = run.folder, run.start, run.schedule
        if start.recipe:
            configure(self.task, start.backbone, start.config)
        cfg = Config.fromfile(start.config)
        where, _ = innermost_dataset(cfg)
        train = self._command('sce train', [
            start.config, '--work-dir', folder, '--resume',
            '--cfg-options', f'randomness.seed={run.seed}',
            as_word(f'{where}.ann_file', run.labels),
            'default_hooks.checkpoint.max_keep_ckpts=1',
            *self.task.options,
            *schedule.overrides,
        ])  # fmt: skip
        self._await(folder)
        yield train, folder
        if not was_evaluated(folder):
            words = ['--cfg-options', *self.task.options]
            yield self._command('sce test', [
                start.config, last_checkpoint(folder), '--work-dir', folder,
                '--out', folder / TESTED, '--overwrite',
                *(words if words[1:] else []),
            ]), folder  # fmt: skip
        found = self.task.metrics(last_logged(folder), cfg)
        found |= {
            'seed': run.seed,
            'checkpoint': str(last_checkpoint(folder)),
            'iterations': schedule.iterations,
            'epochs': schedule.epochs,
            **self._circumstances(train, folder),
        }
        if start.recipe:
            found['pretraining'] = start.key
        if start.recipe or start.weights:
            found['backbone'] = str(start.backbone)
        write_json(run.result, found)

    def _command(self, program: str, words: Sequence[object]) -> Command:
        return Command(program, words, threads=self.settings.threads)

    def _await(self, folder: Path) -> None:
        """Wait for a training of a comparison that was killed."""
        FolderLock(folder, _PATIENCE).close()

    def _circumstances(self, train: Command, folder: Path) -> dict[str, Any]:
        """How a training was run: what repeats it, and what its time means."""
        return {
            'command': train.typed(),
            'seconds': seconds_of(folder),
            'threads': self.settings.threads,
            'jobs': self.settings.jobs,
            'machine': self.machine,
        }
