"""Make the environment that `make` works in; needs no packages itself.

    python3 tools/dev/setup_env.py [default|pretrain|upstream]

Creates `.venv` (or `.venv-pretrain`, `.venv-upstream`) with the pinned
packages of `requirements` and this checkout installed editable, or brings it
up to date. Only `default` has compiled ops of mmcv, for detection.
A stamp is written last, so an interrupted set-up goes on at the next call.
Old Pythons can read this file, so that they can say that they are too old.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import sys
import sysconfig
from contextlib import contextmanager
from pathlib import Path

from setup_progress import SetupError, run, say

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache').expanduser()
CACHE = CACHE / 'sce_mm'
STAMP = 'sce_mm-environment'
# Minor versions of Python 3 for which the pinned packages have wheels.
PYTHONS = {'default': (11, 12), 'pretrain': (11, 13), 'upstream': (11, 11)}
# What a first set-up takes. Sizes were measured on x86_64; minutes are rough,
# for two cores and a fast line.
TAKES = {
    'default': '7 to 30 minutes, most of them to compile mmcv, 4.3 GB of '
    'downloads and 8 GB of disk',
    'pretrain': '1 to 5 minutes, 2.8 GB of downloads and 5.3 GB of disk',
    'upstream': '1 to 5 minutes, 2.7 GB of downloads and 5.2 GB of disk',
}
# What a run writes its numbers with.
LOGS = 'matplotlib.backends.backend_agg, torch.utils.tensorboard'
# Tried at the end, which also leaves the byte code of what is imported.
CHECK = {
    'default': 'import cv2, mmcv.ops, mmdet.apis, mmseg.apis, pytest, '
    'sce_mm.detection, sce_mm.segmentation, ' + LOGS,
    'pretrain': 'import cv2, pytest, sce_mm, ' + LOGS,
    'upstream': 'import cv2, pytest, sce_mm, ' + LOGS,
}


def main(column='default'):
    if column not in PYTHONS:
        known = ', '.join(PYTHONS)
        sys.exit(f'[setup] no column {column!r}: take one of {known}')
    os.environ.pop('PYTHONDONTWRITEBYTECODE', None)
    try:
        check_python(PYTHONS[column], sys.version_info)
        bring_up_to_date(column)
    except SetupError as error:
        sys.exit(f'[setup] {error}')
    except KeyboardInterrupt:
        sys.exit('[setup] interrupted; run the same make verb again to go on')


def check_python(minors: tuple, version: tuple) -> None:
    lowest, highest = minors
    if not (3, lowest) <= tuple(version[:2]) <= (3, highest):
        raise SetupError(
            f'Python 3.{lowest} to 3.{highest} is needed, this is '
            f'{version[0]}.{version[1]}. Name another one by export '
            f'PYTHON=/path/to/python3.{highest}; Debian and Ubuntu have it '
            'as python3.11 python3.11-venv python3.11-dev'
        )


def bring_up_to_date(column: str) -> None:
    """Make the environment what the requirements say, unless it is so."""
    venv = ROOT / ('.venv' if column == 'default' else f'.venv-{column}')
    made_from = fingerprint(column)
    with locked(venv.with_name(f'{venv.name}.lock')):
        if is_whole(venv, made_from):
            return
        (venv / STAMP).unlink(missing_ok=True)
        make(venv, column)
        (venv / STAMP).write_text(made_from)
        say(f'{venv.name} is ready')


def is_whole(venv: Path, made_from: str) -> bool:
    """Whether a set-up from the same files has come to its end."""
    stamp = venv / STAMP
    return (
        stamp.is_file()
        and stamp.read_text() == made_from
        and (venv / 'bin' / 'python').exists()
        and (ROOT / 'sce_mm' / '.mim' / 'configs').exists()
    )


def fingerprint(column: str) -> str:
    """Text that changes with anything that the environment is made from."""
    digest = hashlib.sha256()
    names = (f'{column}.txt', 'constraints.txt', 'overrides.txt')
    files = [ROOT / 'requirements' / name for name in names]
    files += [ROOT / name for name in ('pyproject.toml', 'setup.py')]
    files += [ROOT / 'sce_mm' / 'version.py', Path(__file__)]
    for path in files:
        digest.update(path.read_bytes())
    return f'{column} {ROOT} {sys.version} {digest.hexdigest()}'


def make(venv: Path, column: str) -> None:
    folder = ROOT / 'requirements'
    lines = (folder / f'{column}.txt').read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith('#')]
    compiled = [line for line in lines if line.startswith('onedl-mmcv==')]
    if column != 'default':
        compiled = []
    wheels = wheel_folder(lines)
    compiles = bool(compiled) and not cached_wheels(wheels)
    # Not the interpreter of an environment that happens to be active.
    base = getattr(sys, '_base_executable', sys.executable)
    announce(venv, column, base, compiles)
    if compiles:
        check_compiler()
    uv, python = find_uv(), venv / 'bin' / 'python'
    # `--allow-existing` keeps packages of an interrupted attempt.
    run([uv, 'venv', '--seed', '--allow-existing', '-p', base, venv])
    pip = [uv, 'pip', 'install', '--python', python]
    rules = ['--override', folder / 'overrides.txt']
    if column == 'default':
        rules += ['-c', folder / 'constraints.txt']
    packages = 'torch, OpenMMLab and what they need'
    # Without its ops mmcv is plain Python.
    plain = {'env': {**os.environ, 'MMCV_WITH_OPS': '0'}}
    lines = [line for line in lines if line not in compiled]
    if compiles:
        # What mmcv is compiled against.
        run([*pip, *rules, *lines], packages)
        compile_mmcv(python, compiled[0], wheels)
        packages = 'mmcv and what it needs'
    if compiled:
        lines += cached_wheels(wheels)
    run([*pip, *rules, *lines], packages, **plain)
    run([*pip, '--no-deps', '--no-build-isolation', '-e', ROOT], 'sce_mm')
    # Where none is written later (PYTHONDONTWRITEBYTECODE), every command
    # would compile its modules again.
    run([python, '-m', 'compileall', '-q', ROOT / 'sce_mm'])
    try:
        check = [python, '-W', 'ignore', '-c', CHECK[column]]
        run(check, 'the first import of everything', cwd=str(venv))
    except SetupError as error:
        advice = f'\nIf mmcv is at fault, remove {wheels} and try again'
        raise SetupError(f'{error}{advice if compiled else ""}') from error


def announce(venv: Path, column: str, base: str, compiles: bool) -> None:
    """Say what is made and what that takes, before anything is."""
    free = shutil.disk_usage(str(ROOT)).free / 1e9
    fresh = not (venv / 'bin' / 'python').exists()
    say(f'{"making" if fresh else "renewing"} {venv.name} with {base}')
    if fresh:
        say(f'the first time takes {TAKES[column]}; {free:.0f} GB are free')
    if compiles:
        say(
            'the ops of mmcv are compiled, once for this machine, with '
            f'{os.environ.get("CXX", "g++")}; `make setup-pretrain` needs no '
            'compiler and has all but detection and segmentation'
        )


def find_uv() -> str:
    """The package installer of the user, or one of our own in the cache."""
    if shutil.which('uv'):
        return 'uv'
    home = CACHE / 'uv'
    with locked(CACHE / 'uv.lock'):
        if not (home / 'bin' / 'uv').exists():
            say('installing uv, the package installer')
            run([sys.executable, '-m', 'venv', '--clear', home])
            run([home / 'bin' / 'python', '-m', 'pip', 'install', 'uv'])
    return str(home / 'bin' / 'uv')


def wheel_folder(lines: list) -> Path:
    """Where mmcv is kept that was compiled for these pins on this machine."""
    pins = dict(line.split('==') for line in lines if '==' in line)
    tag = sys.implementation.cache_tag
    system = f'{platform.system()}-{platform.machine()}'.lower()
    mmcv = f'mmcv{pins.get("onedl-mmcv")}-torch{pins["torch"]}'
    return CACHE / 'wheels' / f'{mmcv}-{tag}-{system}'


def cached_wheels(folder: Path) -> list:
    """The wheel in such a folder, which only a whole one gets into."""
    return sorted(folder.glob('*.whl'))


def check_compiler() -> None:
    """Refuse a machine that cannot compile, before anything is made."""
    compiler = os.environ.get('CXX', 'g++')
    headers = Path(sysconfig.get_paths()['include'])
    missing = []
    if shutil.which(compiler.split()[0]) is None:
        missing.append(f'a C++ compiler ({compiler} is not on PATH)')
    if not (headers / 'Python.h').is_file():
        missing.append(f"Python's headers (no {headers}/Python.h)")
    advice = (
        'On Debian and Ubuntu: apt-get install build-essential python3-dev'
    )
    if not missing and sees_gpu() and not has_nvcc():
        missing.append('nvcc, since there is a GPU')
        advice = (
            'Install the CUDA toolkit that torch was built for and export '
            'CUDA_HOME, or export CUDA_VISIBLE_DEVICES= for ops of the CPU'
        )
    if missing:
        raise SetupError(
            f'compiling mmcv needs {" and ".join(missing)}. {advice}. '
            'Or take `make setup-pretrain`, which compiles nothing and has '
            'all but detection and segmentation'
        )


def sees_gpu() -> bool:
    """Whether torch will, by which mmcv decides what it compiles."""
    hidden = os.environ.get('CUDA_VISIBLE_DEVICES') == ''
    return Path('/dev/nvidia0').exists() and not hidden


def has_nvcc() -> bool:
    home = Path(os.environ.get('CUDA_HOME', '/usr/local/cuda'))
    return bool(shutil.which('nvcc')) or (home / 'bin' / 'nvcc').exists()


def compile_mmcv(python: Path, requirement: str, folder: Path) -> None:
    """Compile the ops of mmcv and keep the wheel once they are imported.

    Its source distribution compiles nothing, and says nothing, unless torch
    and the build tools are installed beside it and isolation is off.
    """
    with locked(folder / 'lock'):
        if cached_wheels(folder):
            return
        scratch = folder / 'building'
        shutil.rmtree(scratch, ignore_errors=True)
        # ninja is looked up on PATH.
        path = f'{python.parent}{os.pathsep}{os.environ["PATH"]}'
        jobs = str(len(os.sched_getaffinity(0)))
        options = {'MMCV_WITH_OPS': '1', 'MAX_JOBS': jobs}
        options['FORCE_CUDA'] = os.environ.get('FORCE_CUDA', '0')
        pip = [python, '-m', 'pip']
        plain = ['--no-cache-dir', '--no-build-isolation', '--no-deps']
        run(
            # Verbose, for the lines of ninja.
            [*pip, 'wheel', '-v', *plain, '-w', scratch, requirement],
            'the ops of mmcv, compiled',
            env={**os.environ, **options, 'PATH': path},
        )
        (built,) = scratch.glob('*.whl')
        run([*pip, 'install', '--force-reinstall', '--no-deps', built])
        run([python, '-W', 'ignore', '-c', 'import mmcv.ops'])
        built.rename(folder / built.name)
        shutil.rmtree(scratch)


@contextmanager
def locked(path: Path):
    """One process at a time; the lock goes when the process does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say('waiting for another set-up that is running')
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == '__main__':
    main(*sys.argv[1:])
