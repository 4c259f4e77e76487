"""Run a comparison: check, pretrain, train each predictor, write the page."""

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..config.errors import raise_all
from ..utils.checks import require_own_folder
from ..utils.durable_files import write_json
from ..utils.errors import UserError
from ..utils.folder_lock import FolderInUseError, FolderLock
from ..utils.progress import Progress
from ..utils.progress import clock as as_clock
from ..utils.run_commands import Command, Job, run_jobs, training_step
from ..utils.text import in_path
from .pairing import choose_pairs
from .preparation import plan_regions, prepare_configs
from .pretraining import Start, list_starts
from .progress import TimeLeft, say
from .report import write_report
from .results import INPUTS, Results
from .schedules import make_schedule
from .settings import Settings, adopt_inputs
from .task import Task
from .training import Run, Step, Trainer
from .unlabelled import Unlabelled


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
    """The order of the steps, and what they found; see :func:`compare`.

    Attributes:
        settings: What is asked for.
        task: What is trained, on which labels.
        out: Output folder.
        starts: What is compared.
        unlabelled: Images of the pretrainings.
        runs: All trainings of the predictor, once their lengths are known.
    """

    def __init__(self, settings: Settings, task: Task) -> None:
        self.settings = settings
        self.task = task
        self.out = settings.out
        self.starts = list_starts(settings)
        problems = task.read()
        ours = list_starts(replace(settings, weights={}, variants={}))
        others = [*ours, 'data', 'initial']
        names = [*others, *settings.weights, *settings.variants]
        if len(set(map(in_path, names))) < len(names):
            problems.append(
                '--weights, --variant: names must differ in a letter or digit '
                f'from each other and from {", ".join(others)}'
            )
        raise_all(problems, 'found before anything started')
        task.require_other_images()
        for note in task.notes():
            say(note)
        self.unlabelled = Unlabelled(settings.images, self.out)
        self.runs: list[Run] = []

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
            refusals: type[Exception] = Exception
            try:
                inputs = self._prepare()
                checked()
                # What stops in the middle of many images can go on from them.
                refusals = UserError
                self._look_at_images()
            except refusals:
                if new:
                    shutil.rmtree(self.out, ignore_errors=True)
                raise
            per_image = plan_regions(self.task, self.starts, self.unlabelled)
            self._make(Trainer(self.task, self.unlabelled, per_image))
            write_json(self.out / 'results.json', self.record(inputs))
            write_report(self)

    def _prepare(self) -> dict[str, Any]:
        """Make what the trainings start from; find what is wrong.

        Returns:
            Returned by :func:`adopt_inputs`.
        """
        inputs = adopt_inputs(self.settings, self.task)
        # Before the predictors are checked, which takes longer.
        self.unlabelled.require_images()
        pairs = dict.fromkeys(self.settings.seeds, 0)
        if pretrainings := self.settings.pretraining_seeds:
            pairs, note = choose_pairs(
                self.out, self.settings.seeds, pretrainings, self.starts
            )
            if note:
                say(note)
        cfg = prepare_configs(self.task, self.starts, self.unlabelled)
        labels = {
            self.task.labels(percent, seed): None
            for seed, percent in product(pairs, self.settings.percent)
        }
        if self.settings.min_iterations:
            labels[self.task.labels(100, 0)] = None
        # It writes the overrides into the config.
        batches = self.task.check(cfg, list(labels))
        self.runs = list(self._list_runs(pairs, cfg, batches))
        self._say_lengths()
        return inputs

    def _list_runs(
        self, pairs: Mapping[int, int], cfg: Config, batches: dict[Path, int]
    ) -> Iterator[Run]:
        """All trainings of the predictor.

        Seeds are outermost, so that a first answer comes early.

        Args:
            pairs: By seed the number of the pretraining that it takes.
            cfg: Config of the predictor, with all overrides.
            batches: How many an epoch has, by the file of labels.
        """
        of_all = batches.get(self.task.labels(100, 0))
        least = self.settings.min_iterations
        if isinstance(least, str):
            assert of_all
            least = make_schedule(cfg, of_all).iterations
        for (seed, number), percent in product(
            pairs.items(), self.settings.percent
        ):
            labels = self.task.labels(percent, seed)
            for starts in self.starts.values():
                start = starts[number if len(starts) > 1 else 0]
                schedule = make_schedule(
                    cfg, batches[labels], least, start.factor, of_all
                )
                yield Run(
                    self.task.predictor, start, percent, seed, labels, schedule
                )

    def _say_lengths(self) -> None:
        """Say how long the predictors train, with each part of the labels."""
        found: dict[tuple[float, float], dict[str, None]] = {}
        for run in self.runs:
            texts = found.setdefault((run.percent, run.start.factor), {})
            texts[str(run.schedule)] = None
        for (percent, factor), texts in found.items():
            whom = '' if factor == 1 else f' (those {factor:g} x as long)'
            say(
                f'{self.task.predictor}s on {percent:g} % of the labels{whom} '
                f'train for {" or ".join(texts)}'
            )

    def _look_at_images(self) -> None:
        """Leave copies out; make a cache if regions are still to be cut."""
        workers = self.settings.jobs * self.settings.threads
        for starts in self.starts.values():
            recipe = starts[0].recipe
            if recipe is None or not recipe.cuts_regions:
                continue
            loading = recipe.loading()
            if loading and not all(start.is_done() for start in starts):
                self.unlabelled.keep_pixels(loading.stretch, workers)
                break
        self.unlabelled.leave_out(self.task.val_images(), workers)

    def steps(self) -> list[Step]:
        """All steps: pretrainings come before what is trained from them."""
        found: dict[Step, None] = {}
        for run in self.runs:
            if run.start.recipe:
                found[run.start] = None
            found[run] = None
        return list(found)

    def _make(self, trainer: Trainer) -> None:
        """Make the steps that are not done, and say how far it is."""
        steps = self.steps()
        missing = [step for step in steps if not step.is_done()]
        names = {str(step) for step in missing}
        places = {
            str(step): f'{number} of {len(steps)}'
            for number, step in enumerate(steps, 1)
        }
        if done := len(steps) - len(missing):
            say(f'{done} of {len(steps)} steps are done already')
        jobs = [
            Job(
                str(step),
                trainer.commands(step),
                [*names & {str(step.start)}] if isinstance(step, Run) else [],
            )
            for step in missing
        ]
        clock = self._time_left(steps, missing)
        # Of what runs.
        logs: dict[str, Path] = {}

        def starting(job: Job, command: Command, log: Path) -> None:
            logs[job.name] = log
            clock.begin(job.name, time.monotonic())
            say(f'{places[job.name]}: {job.name}')
            say(command.shown())

        def note() -> str:
            notes = [*filter(None, map(training_step, logs.values()))]
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
                logs.pop(job.name, None)
                clock.end(job.name, time.monotonic())
                progress.advance()
                if self.settings.jobs > 1:
                    say(f'{places[job.name]} has ended: {job.name}')

    def _time_left(self, steps: list[Step], missing: list[Step]) -> TimeLeft:
        """What is left, and how long what is done took."""
        clock = TimeLeft(self.settings.jobs)
        for step in steps:
            kind, amount = 'pretraining', 1
            if isinstance(step, Run):
                kind, amount = 'training', step.schedule.iterations
            if step in missing:
                clock.plan(str(step), kind, amount)
                continue
            found = json.loads(step.result.read_text())
            if seconds := found.get('seconds'):
                clock.learn(kind, amount, seconds)
        return clock

    def results(self) -> Results:
        """Metrics by source and percentage, one dict a seed."""
        found: Results = {
            source: {percent: [] for percent in sorted(self.settings.percent)}
            for source in self.starts
        }
        for run in self.runs:
            result = json.loads(run.result.read_text())
            found[run.start.source][run.percent].append(result)
        return found

    def pretrainings(self) -> dict[str, dict[str, Any]]:
        """How each was run, by the key that results name."""
        return {
            step.key: {'source': step.source}
            | json.loads(step.result.read_text())
            for step in self.steps()
            if isinstance(step, Start)
        }

    def record(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """All that is known of the comparison, to read or to run again."""
        return {
            'results': self.results(),
            'pretrainings': self.pretrainings(),
            'inputs': inputs,
            'unlabelled images': len(self.unlabelled.paths),
            'left out': len(self.unlabelled.copies),
        }
