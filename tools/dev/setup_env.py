"""Make the environment that `make` works in. Standard library only.

    python3 tools/dev/setup_env.py [default|upstream]

Creates `.venv` (or `.venv-upstream`) with pinned packages and this checkout
installed editable. mmcv with its compiled ops is built once for each machine
and kept in the user's cache, so that other checkouts are ready in minutes. A
stamp is written last: without it, or when the requirements have changed, the
environment is brought up to date again.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache').expanduser()
CACHE = CACHE / 'sce_mm'
PYTHONS = {'default': ((3, 10), (3, 12)), 'upstream': ((3, 10), (3, 11))}
# Written after everything else has been checked.
STAMP = 'sce_mm-environment'
# What one column takes on disk, if the package cache is empty, in GB.
DISK = {'default': 14, 'upstream': 10}
CHECK = {
    'default': 'import cv2, mmcv._ext, mmdet, mmpretrain, sce_mm',
    'upstream': 'import cv2, mmpretrain, sce_mm',
}


class SetupError(Exception):
    """Something that the user has to mend, with how."""


def main(column: str = 'default') -> None:
    """Bring the environment of a column up to date."""
    if column not in PYTHONS:
        raise SetupError(f'no column {column!r}: use default or upstream')
    venv = ROOT / ('.venv' if column == 'default' else f'.venv-{column}')
    python = find_python(*PYTHONS[column])
    stamp, wanted = venv / STAMP, fingerprint(column, python)
    if stamp.is_file() and stamp.read_text() == wanted and is_whole(venv):
        return
    stamp.unlink(missing_ok=True)
    wheels = wheel_folder(python) if column == 'default' else None
    check_disk(1 if wheels and cached_wheel(wheels) else DISK[column])
    if wheels and not cached_wheel(wheels):
        check_compiler(python)
    uv = find_uv()
    say(f'setting up {venv.name} with {python}')
    # `--allow-existing` keeps packages of an interrupted attempt.
    run([uv, 'venv', '--seed', '--allow-existing', '-p', python, venv])
    install(uv, venv, column, wheels)
    check = [venv / 'bin' / 'python', '-W', 'ignore', '-c', CHECK[column]]
    run(check, cwd=venv)
    stamp.write_text(wanted)
    say(f'{venv.name} is ready')


def install(uv: str, venv: Path, column: str, wheels: Path | None) -> None:
    """All packages of a column, then this checkout."""
    pip = [uv, 'pip', 'install', '--python', venv / 'bin' / 'python']
    lines = requirements(column)
    rules: list[str | Path] = []
    if wheels is not None:
        rules = ['-c', ROOT / 'requirements' / 'constraints.txt']
        mmcv = next(line for line in lines if line.startswith('onedl-mmcv'))
        if not cached_wheel(wheels):
            # What mmcv is compiled against; it must be there before.
            plain = [x for x in lines if not x.startswith('onedl')]
            run([*pip, *rules, *plain])
            build_mmcv(venv, mmcv, wheels)
        lines[lines.index(mmcv)] = str(cached_wheel(wheels))
    overrides = ROOT / 'requirements' / 'overrides.txt'
    if list(venv.glob('lib/python*/site-packages/opencv_python-*')):
        # Came without our overrides; either one takes cv2 along as it goes.
        both = ['opencv-python', 'opencv-python-headless']
        run([uv, 'pip', 'uninstall', '--python', pip[4], *both])
    run([*pip, *rules, '--override', overrides, *lines])
    run([*pip, '--no-deps', '--no-build-isolation', '-e', ROOT])


def build_mmcv(venv: Path, requirement: str, wheels: Path) -> None:
    """Compile mmcv with its ops into the cache; other builds wait."""
    wheels.mkdir(parents=True, exist_ok=True)
    with locked(wheels / 'lock'):
        if cached_wheel(wheels):
            return
        say('compiling the ops of mmcv, once for this machine: 5-15 minutes')
        scratch = wheels / 'building'
        shutil.rmtree(scratch, ignore_errors=True)
        jobs = str(len(os.sched_getaffinity(0)))
        options = {'MMCV_WITH_OPS': '1', 'FORCE_CUDA': '0', 'MAX_JOBS': jobs}
        # ninja and the compiler's helpers are looked up on PATH.
        path = f'{venv / "bin"}{os.pathsep}{os.environ["PATH"]}'
        pip = [venv / 'bin' / 'python', '-m', 'pip', 'wheel', '-w', scratch]
        run(
            [*pip, '--no-build-isolation', '--no-deps', requirement],
            env=os.environ | options | {'PATH': path},
        )
        (built,) = scratch.glob('*.whl')
        with zipfile.ZipFile(built) as archive:
            if not any('mmcv/_ext' in name for name in archive.namelist()):
                raise SetupError(
                    f'mmcv was built without its ops. Remove {scratch} and '
                    'try again with a working C++ compiler'
                )
        built.rename(wheels / built.name)
        shutil.rmtree(scratch)


def requirements(column: str) -> list[str]:
    """Requirement lines of a column."""
    text = (ROOT / 'requirements' / f'{column}.txt').read_text()
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith('#')]


def wheel_folder(python: str) -> Path:
    """Where the compiled mmcv for this combination is kept."""
    pins = dict(x.split('==') for x in requirements('default') if '==' in x)
    tag = ask(python, 'import sys; print(sys.implementation.cache_tag)')
    system = f'{platform.system()}-{platform.machine()}'.lower()
    key = f'mmcv{pins["onedl-mmcv"]}-torch{pins["torch"]}-{tag}-{system}'
    return CACHE / 'wheels' / key


def cached_wheel(wheels: Path) -> Path | None:
    """The wheel in such a folder, once it is whole."""
    return next(iter(wheels.glob('*.whl')), None)


def fingerprint(column: str, python: str) -> str:
    """Changes with anything that the environment is made from."""
    digest = hashlib.sha256()
    files = [Path(__file__), ROOT / 'setup.py']
    files += sorted((ROOT / 'requirements').glob('*.txt'))
    for path in files:
        digest.update(path.read_bytes())
    version = ask(python, 'import sys; print(sys.version)')
    return f'{column} {ROOT} {version} {digest.hexdigest()}\n'


def is_whole(venv: Path) -> bool:
    """Whether the pinned packages are still installed as pinned."""
    column = venv.name.removeprefix('.venv-').replace('.venv', 'default')
    pins = dict(x.split('==') for x in requirements(column) if '==' in x)
    code = (
        'import sys\nfrom importlib.metadata import version\n'
        'for pin in sys.argv[1:]:\n'
        '    name, _, wanted = pin.partition("==")\n'
        '    assert version(name) == wanted\n'
        'version("sce_mm")\n'
    )
    words = [f'{name}=={pin}' for name, pin in pins.items()]
    command = [venv / 'bin' / 'python', '-c', code, *words]
    try:
        done = subprocess.run(command, capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


def find_python(lowest: tuple[int, int], highest: tuple[int, int]) -> str:
    """An interpreter in the range: this one, or one on PATH."""
    if lowest <= sys.version_info[:2] <= highest:
        return sys.executable
    for minor in range(highest[1], lowest[1] - 1, -1):
        found = shutil.which(f'python3.{minor}')
        if found:
            return found
    raise SetupError(
        f'Python {lowest[0]}.{lowest[1]} to {highest[0]}.{highest[1]} is '
        f'needed and none is on PATH; this is {platform.python_version()}. '
        'Install one, for example with: apt-get install python3.11-venv'
    )


def find_uv() -> str:
    """The package installer: the user's, or our own in the cache."""
    found = shutil.which('uv')
    if found:
        return found
    uv = CACHE / 'uv' / 'bin' / 'uv'
    if not uv.exists():
        say('installing uv, the package installer')
        home = uv.parents[1]
        try:
            run([sys.executable, '-m', 'venv', '--clear', home])
        except SetupError as error:
            raise SetupError(
                f'{error}\nPython cannot make virtual environments here. On '
                'Debian and Ubuntu: apt-get install python3-venv'
            ) from error
        run([home / 'bin' / 'python', '-m', 'pip', 'install', '-q', 'uv'])
    return str(uv)


def check_compiler(python: str) -> None:
    """mmcv needs a C++ compiler and Python's headers."""
    compiler = os.environ.get('CXX', 'g++')
    include = ask(
        python, 'import sysconfig; print(sysconfig.get_paths()["include"])'
    )
    missing = []
    if shutil.which(compiler.split()[0]) is None:
        missing.append(f'a C++ compiler ({compiler} is not on PATH)')
    if not (Path(include) / 'Python.h').is_file():
        missing.append(f"Python's headers (no {include}/Python.h)")
    if missing:
        raise SetupError(
            f'compiling mmcv needs {" and ".join(missing)}. On Debian and '
            'Ubuntu: apt-get install build-essential python3-dev'
        )


def check_disk(gigabytes: float) -> None:
    """Full disks end in broken packages; ask first."""
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < gigabytes:
        raise SetupError(
            f'{free:.1f} GB are free at {ROOT}, about {gigabytes} GB are '
            'needed: free some, or clone to another disk'
        )


def run(command: list[str | Path], **options: object) -> None:
    """Run a step; a failure says which one and the likely cause."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
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
    causes = {
        'no space left': 'the disk is full: free some space and try again',
        'dns error': 'the package index cannot be reached: check the network',
        'connection': 'the package index cannot be reached: check the network',
        'timed out': 'the network is slow or closed: try again',
        'no solution found': 'a pinned package is not in the index',
    }
    for sign, advice in causes.items():
        if sign in text:
            return advice
    return 'what is above says why; run the same make verb again to go on'


def ask(python: str, code: str) -> str:
    """What a one-liner prints in another interpreter."""
    command = [python, '-c', code]
    return subprocess.run(
        command, check=True, capture_output=True, text=True
    ).stdout.strip()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time."""
    with path.open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def say(message: str) -> None:
    print(f'[setup] {message}', flush=True)


if __name__ == '__main__':
    try:
        main(*sys.argv[1:])
    except SetupError as error:
        sys.exit(f'[setup] {error}')
