"""Run commands of the project with a log each; read what trainings logged.

A series of trainings and evaluations (the demo, a sweep, a comparison) starts
them as separate programs: each has its own memory, its own log, and a command
that can be typed again.
"""

import ctypes
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .errors import UserError
from .text import printable

# Option of Linux's prctl: the signal that a process gets when its parent
# ends.
_PR_SET_PDEATHSIG = 1
# Line of a training in mmengine's log: where it is, and the time left.
_STEP = re.compile(r'((?:Epoch|Iter)\(train\).*?\])  .*?eta: (.+?)  ')


@dataclass(frozen=True)
class Command:
    """A program, its arguments, and how many processor threads it may use.

    Attributes:
        program: A command of the project such as ``sce train``, or the path
            of a script.
        words: The arguments.
        name: Name of the log; by default that of the command or script.
        threads: Number of processor threads.
    """

    program: str
    words: Sequence[object]
    name: str = ''
    threads: int = 1

    def shown(self) -> str:
        """The command as a person would type it."""
        return printable(shlex.join(self.typed()))

    def typed(self) -> list[str]:
        """The words of the command line."""
        script = [] if self.command else ['python']
        return [*script, *self.program.split(), *map(str, self.words)]

    @property
    def command(self) -> str:
        """Name of a command of the project, empty for a script."""
        name = self.program.removeprefix('sce ')
        return name if name != self.program else ''

    def log(self, folder: Path) -> Path:
        """Where its output goes."""
        return (
            folder
            / f'{self.name or self.command or Path(self.program).stem}.log'
        )

    def start(self, folder: Path) -> subprocess.Popen:
        """Start it; standard output and errors go to the log.

        Linux stops it, by SIGTERM, when this process is killed.
        """
        settings = {
            'OMP_NUM_THREADS': str(self.threads),
            # Waiting threads would take the time of the other commands.
            'OMP_WAIT_POLICY': 'PASSIVE',
            'PYTHONUNBUFFERED': '1',
        }
        program = [self.program]
        if self.command:
            program = ['-m', 'sce_mm', self.command]
            if not {'', os.getcwd()} & set(sys.path):
                # -m would look for modules in the user's folder first, where
                # the command `sce` does not look: a random.py of his is not
                # the one of Python.
                program = ['-P', *program]
        words = [sys.executable, '-W', 'ignore', *program]
        with self.log(folder).open('w') as file:
            return subprocess.Popen(
                [*words, *map(str, self.words)],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | settings,
                # The library is loaded here, before the process is forked.
                preexec_fn=partial(_end_with_parent, ctypes.CDLL(None))
                if sys.platform == 'linux'
                else None,
            )


def end_with_parent() -> None:
    """Let Linux end this process, by SIGTERM, when its parent has ended."""
    if sys.platform == 'linux':
        _end_with_parent(ctypes.CDLL(None))


def _end_with_parent(library: Any) -> None:
    library.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(eq=False)
class Job:
    """Commands that run one after the other.

    Attributes:
        name: What others wait for.
        commands: Each command with the folder of its log. What a generator
            does behind a ``yield`` is done when that command has ended well,
            in the process that calls :func:`run_jobs`.
        after: Names of jobs that have to end first.
    """

    name: str
    commands: Iterator[tuple[Command, Path]]
    after: Sequence[str] = ()


def run_jobs(
    jobs: Sequence[Job],
    at_once: int = 1,
    starting: Callable[[Job, Command, Path], object] = lambda *_: None,
    waiting: Callable[[], object] = lambda: None,
) -> Generator[Job, None, None]:
    """Run jobs, several at a time; when one fails, stop the others.

    The first job that need not wait is the next to begin. Whatever ends this,
    an interrupt for one, ends the commands that run, by SIGTERM, and waits
    for them: trainings save where they are.

    Args:
        jobs: In the order in which they begin.
        at_once: Number of commands that may run at the same time.
        starting: Called before each command begins, with its log.
        waiting: Called several times a second while commands run.

    Yields:
        Each job that has ended.

    Raises:
        UserError: A command failed; the message has the end of its log.
        UserError: What a job waits for is not among the jobs.
    """
    queue, done = [*jobs], set[str]()
    running: dict[Path, tuple[Job, subprocess.Popen]] = {}
    try:
        while queue or running:
            ready = [job for job in queue if done.issuperset(job.after)]
            if ready and len(running) < at_once:
                job = ready[0]
                queue.remove(job)
            elif running:
                job, _ = running.pop(_ended(running, waiting))
            else:
                raise UserError(f'{queue[0].name} waits for no job here')
            following = next(job.commands, None)
            if following is None:
                done.add(job.name)
                yield job
                continue
            command, folder = following
            folder.mkdir(parents=True, exist_ok=True)
            log = command.log(folder)
            starting(job, command, log)
            running[log] = job, command.start(folder)
    finally:
        processes = [process for _, process in running.values()]
        for process in processes:
            if process.poll() is None:
                process.terminate()
        for process in processes:
            process.wait()


def run_together(
    commands: Sequence[Command],
    logs: Path,
    waiting: Callable[[], object] = lambda: None,
) -> None:
    """Run commands side by side; when one fails, stop the others.

    ``waiting`` is called several times a second while they run.

    Raises:
        UserError: A command failed; the message has the end of its log.
    """
    jobs = [Job(str(c.log(logs)), iter([(c, logs)])) for c in commands]
    for _ in run_jobs(jobs, at_once=len(commands), waiting=waiting):
        pass


def _ended(
    running: Mapping[Path, tuple[Job, subprocess.Popen]],
    waiting: Callable[[], object],
) -> Path:
    """Wait for a command to end; its log."""
    while True:
        for log, (_, process) in running.items():
            status = process.poll()
            if status:
                text = log.read_text(errors='replace')
                end = '\n'.join(text.splitlines()[-15:])
                raise UserError(
                    f'failed with status {status}\n{end}\nlog: {log}'
                )
            if status == 0:
                return log
        waiting()
        time.sleep(0.2)


def training_step(log: Path) -> str:
    """Where a training is and the time left, by its log; else empty."""
    try:
        with log.open('rb') as file:
            file.seek(max(0, log.stat().st_size - 4096))
            found = _STEP.findall(file.read().decode(errors='replace'))
    except OSError:
        return ''
    return '{}, {} left'.format(*found[-1]) if found else ''


def log_entries(work_dir: Path) -> Iterator[dict[str, Any]]:
    """What a run has logged, an entry at a time, each with its ``step``.

    Resumed runs log into a further file: all are read, the oldest first. A
    line that a crash has cut off is left out.
    """
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in path.read_text(errors='replace').splitlines():
            with suppress(json.JSONDecodeError):
                entry = json.loads(line)
                yield {'step': entry.get('iter', 0), **entry}


def read_scalars(work_dir: Path) -> dict[str, list[tuple[int, float]]]:
    """Every logged number of a run, as pairs of step and value."""
    series = defaultdict(list)
    for entry in log_entries(work_dir):
        for name, value in entry.items():
            if isinstance(value, int | float):
                series[name].append((entry['step'], value))
    return dict(series)
