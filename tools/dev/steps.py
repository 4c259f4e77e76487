"""Run the steps of the set-up, and say what went wrong with one."""

import fcntl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class SetupError(Exception):
    """Something that the user has to mend, with how."""


def say(message: str) -> None:
    """Tell the user what is going on."""
    print(f'[setup] {message}', flush=True)


def run(command: list[str | Path], **options: object) -> None:
    """Run a step; a failure says which one and the likely cause."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors='replace',
            **options,
        )
    except OSError as error:
        raise SetupError(f'{words[0]} does not start: {error}') from error
    if done.returncode:
        tail = '\n'.join(done.stdout.splitlines()[-25:])
        raise SetupError(
            f'{tail}\n\nthis step failed: {" ".join(words)}\n'
            f'{likely_cause(done.stdout)}'
        )


def likely_cause(output: str) -> str:
    """One line of advice for the failures that are common."""
    text = output.lower()
    network = (
        'the package index cannot be reached: check the network and the '
        'proxy, then run the same make verb again'
    )
    causes = {
        'no space left': 'the disk is full: free some space and try again',
        'dns error': network,
        'failed to fetch': network,
        'error sending request': network,
        'connection': network,
        'timed out': network,
        'no matching distribution': network,
        'no solution found': 'the package index lacks a pinned package',
    }
    for sign, advice in causes.items():
        if sign in text:
            return advice
    return 'what is above says why; run the same make verb again to go on'


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time; the lock goes when the process does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say('waiting for another set-up that is running')
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
