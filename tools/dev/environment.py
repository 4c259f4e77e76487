"""An environment of pinned packages that is whole or not taken for one.

A stamp is written last: what the environment was made from and all that was
installed. Without it, or when either has changed, everything is brought up to
date again; what is there already costs nothing.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

from mmcv_wheel import build_wheel, cached_wheel, wheel_folder
from preflight import CACHE, check_compiler, check_disk, find_uv
from steps import SetupError, locked, run, say

ROOT = Path(__file__).resolve().parents[2]
STAMP = 'sce_mm-environment'
# What a column takes on disk if the package cache is empty, in GB.
DISK = {'default': 10, 'upstream': 7}
FILES = {
    'default': ('default.txt', 'constraints.txt', 'overrides.txt'),
    'upstream': ('upstream.txt', 'overrides.txt'),
}
CHECK = {
    'default': 'import cv2, mmcv.ops, mmdet, mmpretrain, sce_mm',
    'upstream': 'import cv2, mmpretrain, sce_mm',
}
LIST = (
    'from importlib.metadata import distributions as all\n'
    'names = {f"{d.name}=={d.version}" for d in all()}\n'
    'print(*sorted(names), sep="\\n")'
)


def bring_up_to_date(column: str) -> None:
    """Make `.venv` (or `.venv-upstream`) what the requirements say."""
    venv = ROOT / ('.venv' if column == 'default' else f'.venv-{column}')
    if is_whole(venv, column):
        return
    with locked(venv.with_name(f'{venv.name}.lock')):
        if is_whole(venv, column):
            return
        (venv / STAMP).unlink(missing_ok=True)
        make(venv, column)
        stamp = f'{fingerprint(column)}\n{installed(venv)}'
        (venv / STAMP).write_text(stamp)
    say(f'{venv.name} is ready')


def make(venv: Path, column: str) -> None:
    """Check the machine, create the environment, install, import."""
    lines = requirements(column)
    wheels = None
    if column == 'default':
        pins = dict(x.split('==') for x in lines if '==' in x)
        wheels = wheel_folder(pins)
    if wheels and not cached_wheel(wheels):
        check_compiler()
    # uv links from its cache, so a second checkout takes nothing.
    first = not (wheels and cached_wheel(wheels))
    check_disk(ROOT, DISK[column] if first else 1)
    check_disk(CACHE, 1)
    uv = find_uv()
    # Not the interpreter of an environment that happens to be active.
    base = getattr(sys, '_base_executable', sys.executable)
    say(f'setting up {venv.name} with {base}: minutes once')
    # `--allow-existing` keeps packages of an interrupted attempt.
    run([uv, 'venv', '--seed', '--allow-existing', '-p', base, venv])
    install(uv, venv, lines, wheels)
    python = venv / 'bin' / 'python'
    try:
        run([python, '-W', 'ignore', '-c', CHECK[column]], cwd=venv)
    except SetupError as error:
        advice = f'\nIf mmcv is at fault, remove {wheels} and try again'
        raise SetupError(f'{error}{advice if wheels else ""}') from error


def install(
    uv: Path, venv: Path, lines: list[str], wheels: Path | None
) -> None:
    """All packages of a column, then this checkout."""
    pip = [uv, 'pip', 'install', '--python', venv / 'bin' / 'python']
    folder = ROOT / 'requirements'
    rules: list[str | Path] = ['--override', folder / 'overrides.txt']
    if list(venv.glob('lib/python*/site-packages/opencv_python-*')):
        # Came without our overrides; either one takes cv2 along as it goes.
        both = ['opencv-python', 'opencv-python-headless']
        run([uv, 'pip', 'uninstall', *pip[3:], *both])
    if wheels is not None:
        rules += ['-c', folder / 'constraints.txt']
        mmcv = next(line for line in lines if line.startswith('onedl-mmcv'))
        lines = [line for line in lines if line != mmcv]
        if not cached_wheel(wheels):
            # What mmcv is compiled against and tried with.
            run([*pip, *rules, *lines])
            build_wheel(venv, mmcv, wheels)
        lines = [*lines, str(cached_wheel(wheels))]
    run([*pip, *rules, *lines])
    run([*pip, '--no-deps', '--no-build-isolation', '-e', ROOT])


def requirements(column: str) -> list[str]:
    """Requirement lines of a column."""
    text = (ROOT / 'requirements' / f'{column}.txt').read_text()
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith('#')]


def fingerprint(column: str) -> str:
    """Changes with anything that the environment is made from."""
    digest = hashlib.sha256()
    files = [ROOT / 'requirements' / name for name in FILES[column]]
    files += [ROOT / 'setup.py', ROOT / 'sce_mm' / 'version.py']
    for path in [*files, *sorted(Path(__file__).parent.glob('*.py'))]:
        digest.update(path.read_bytes())
    version = sys.version.replace('\n', ' ')
    return f'{column} {ROOT} {version} {digest.hexdigest()}'


def installed(venv: Path) -> str:
    """All packages of an environment with their versions, one a line."""
    command = [str(venv / 'bin' / 'python'), '-I', '-c', LIST]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout


def is_whole(venv: Path, column: str) -> bool:
    """Whether the stamp is of today and all that it lists still there."""
    stamp, mim = venv / STAMP, ROOT / 'sce_mm' / '.mim' / 'configs'
    if not (stamp.is_file() and mim.exists()):
        return False
    made_from, *packages = stamp.read_text().splitlines()
    if made_from != fingerprint(column) or not packages:
        return False
    try:
        return set(packages) <= set(installed(venv).splitlines())
    except OSError:
        return False
