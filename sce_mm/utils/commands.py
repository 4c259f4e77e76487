"""Run commands of the project with a log each; read what trainings logged.

A series of trainings and evaluations (the demo, a sweep, a comparison) starts
them as separate programs: each has its own memory, its own log, and a command
that can be typed again.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .text import printable

# Of a line of a training in mmengine's log: where it is, and the time left.
_STEP = re.compile(r'((?:Epoch|Iter)\(train\).*?\])  .*?eta: (.+?)  ')


@dataclass(frozen=True)
class Command:
    """A script, its arguments, and how many processor threads it may use.

    The working directory is the root of the project, the name is that of the
    log, by default the script's.
    """

    script: str
    words: Sequence[object]
    name: str = ''
    threads: int = 1

    def shown(self) -> str:
        """As a person would type it."""
        words = [self.script, *map(str, self.words)]
        return 'python ' + printable(' '.join(map(shlex.quote, words)))

    def log(self, folder: Path) -> Path:
        """Where its output goes."""
        return folder / f'{self.name or Path(self.script).stem}.log'

    def start(self, folder: Path) -> subprocess.Popen:
        """Start it; standard output and errors go to the log."""
        settings = {
            'OMP_NUM_THREADS': str(self.threads),
            # Waiting threads would take the time of the other commands.
            'OMP_WAIT_POLICY': 'PASSIVE',
            'PYTHONUNBUFFERED': '1',
        }
        words = [sys.executable, '-W', 'ignore', self.script]
        with self.log(folder).open('w') as file:
            return subprocess.Popen(
                [*words, *map(str, self.words)],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | settings,
            )


def run_together(commands: Sequence[Command], logs: Path) -> None:
    """Run commands side by side; when one fails, stop the others.

    Raises:
        RuntimeError: A command failed; the message has the end of its log.
    """
    logs.mkdir(parents=True, exist_ok=True)
    running = {c.log(logs): c.start(logs) for c in commands}
    try:
        while any(process.poll() is None for process in running.values()):
            _raise_if_failed(running)
            time.sleep(0.2)
        _raise_if_failed(running)
    finally:
        for process in running.values():
            if process.poll() is None:
                process.terminate()
                process.wait()


def training_step(log: Path) -> str:
    """Where a training is and the time left, by its log; else empty."""
    try:
        with log.open('rb') as file:
            file.seek(max(0, log.stat().st_size - 4096))
            found = _STEP.findall(file.read().decode(errors='replace'))
    except OSError:
        return ''
    return '{}, {} left'.format(*found[-1]) if found else ''


def _raise_if_failed(running: dict[Path, subprocess.Popen]) -> None:
    for log, process in running.items():
        if process.poll():
            text = log.read_text(errors='replace')
            end = '\n'.join(text.splitlines()[-15:])
            raise RuntimeError(
                f'failed with status {process.returncode}\n{end}\nlog: {log}'
            )


def read_scalars(work_dir: Path) -> dict[str, list[tuple[int, float]]]:
    """Every logged number of a run, as pairs of step and value.

    Resumed runs log into a further file: all are read, the oldest first.
    """
    series = defaultdict(list)
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            step = entry.get('step', entry.get('iter', 0))
            for name, value in entry.items():
                if isinstance(value, int | float):
                    series[name].append((step, value))
    return dict(series)
