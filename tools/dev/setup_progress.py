"""Run a step of the set-up and show that it goes on.

Old Pythons can read this file, as they can `setup_env.py`.
"""

import os
import re
import select
import shutil
import subprocess
import sys
import time

# Seconds between two lines of a step, in a log and on a terminal.
EVERY = {False: 30, True: 1}


class SetupError(Exception):
    """What the user has to change, and how."""


def say(message: str) -> None:
    print(f'[setup] {message}', flush=True)


def run(command: list, what: str = '', **options: object) -> None:
    """Run a step; if it fails, show which one and what it printed.

    ``what`` is said while it runs, for steps that take minutes: with the time
    and what is done, every second on a terminal, every half minute in a log.
    """
    words = [str(word) for word in command]
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        **options,
    ) as process:
        printed = follow(process.stdout, what)
    if process.returncode:
        tail = '\n'.join(printed.splitlines()[-25:])
        raise SetupError(
            f'{tail}\n\nthis step failed: {" ".join(words)}\n'
            'What is above says why; run the same make verb again to go on'
        )


def follow(stream: object, what: str) -> str:
    """All that a step prints, shown as progress until it ends."""
    progress, terminal = Progress(), sys.stdout.isatty()
    said, printed, rest = time.monotonic(), b'', b''
    while True:
        ready, _, _ = select.select([stream], [], [], 0.5)
        block = os.read(stream.fileno(), 1 << 16) if ready else b''
        if ready and not block:
            break
        printed += block
        *lines, rest = (rest + block).split(b'\n')
        for line in lines:
            progress.read(line.decode(errors='replace'))
        now = time.monotonic()
        if what and now - said > EVERY[terminal]:
            said = now
            show(f'{what}: {progress.text(now)}', terminal)
    if what and terminal:
        # The line that was written over.
        print(f'\r{" " * (shutil.get_terminal_size().columns - 1)}\r', end='')
    if what:
        say(f'{what}: done in {duration(time.monotonic() - progress.start)}')
    return printed.decode(errors='replace')


def show(text: str, terminal: bool) -> None:
    if terminal:
        width = shutil.get_terminal_size().columns - 1
        print(f'\r{f"[setup] {text}".ljust(width)[:width]}', end='')
        sys.stdout.flush()
    else:
        say(text)


class Progress:
    """What lines of uv and ninja say about how far a step is."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self.sizes = {}
        self.loaded = 0.0
        self.coming = set()
        self.compiled = (0, 0)
        self.latest = ''

    def read(self, line: str) -> None:
        ninja = re.match(r'\[(\d+)/(\d+)\] ', line.strip())
        if ninja:
            self.compiled = int(ninja[1]), int(ninja[2])
        size = re.match(r'\s*Downloading (\S+) \(([\d.]+)([KMG])iB\)', line)
        if size:
            scale = {'K': 1 / 1024, 'M': 1, 'G': 1024}[size[3]]
            self.sizes[size[1]] = float(size[2]) * scale
            self.coming.add(size[1])
        whole = re.match(r'\s*Downloaded (\S+)', line)
        if whole:
            self.loaded += self.sizes.get(whole[1], 0)
            self.coming.discard(whole[1])
        if re.match(r'(Prepared|Installed) \d+ packages', line):
            self.latest = line.strip().lower()

    def text(self, now: float) -> str:
        """How far it is, in words."""
        spent = now - self.start
        parts = [duration(spent)]
        done, total = self.compiled
        if total:
            parts.append(f'{done} of {total} files')
        if done > 3:
            left = duration(spent / done * (total - done))
            parts.append(f'about {left} left')
        if self.sizes and not self.latest:
            whole = sum(self.sizes.values())
            parts.append(f'{self.loaded:.0f} of {whole:.0f} MB downloaded')
            # Only whole files count, and those of torch are large.
            if self.coming:
                parts.append(f'{len(self.coming)} files under way')
        if self.latest:
            parts.append(self.latest)
        return ', '.join(parts)


def duration(seconds: float) -> str:
    if seconds < 100:
        return f'{seconds:.0f} s'
    return f'{seconds / 60:.0f} min'
