"""mmcv with its compiled ops: built once for a machine, then kept.

Its source distribution compiles nothing, and says nothing, unless torch and
the build tools are installed beside it and isolation is off.
"""

import os
import platform
import shutil
import sys
from pathlib import Path

from preflight import CACHE
from steps import SetupError, locked, run, say

OPS = 'import mmcv.ops'


def wheel_folder(pins: dict[str, str]) -> Path:
    """Where the compiled mmcv for this combination is kept."""
    tag = sys.implementation.cache_tag
    system = f'{platform.system()}-{platform.machine()}'.lower()
    key = f'mmcv{pins["onedl-mmcv"]}-torch{pins["torch"]}-{tag}-{system}'
    return CACHE / 'wheels' / key


def cached_wheel(folder: Path) -> Path | None:
    """The wheel in such a folder; only whole ones ever get there."""
    return next(iter(folder.glob('*.whl')), None)


def build_wheel(venv: Path, requirement: str, folder: Path) -> None:
    """Compile in an environment that has torch; other builds wait.

    Args:
        venv: Environment with everything else; the wheel is tried in it.
        requirement: mmcv with its pin.
        folder: Where the wheel goes once its ops have been imported.
    """
    with locked(folder / 'lock'):
        if cached_wheel(folder):
            return
        say('compiling the ops of mmcv, once for this machine: 5-15 minutes')
        scratch = folder / 'building'
        shutil.rmtree(scratch, ignore_errors=True)
        jobs = str(len(os.sched_getaffinity(0)))
        options = {'MMCV_WITH_OPS': '1', 'FORCE_CUDA': '0', 'MAX_JOBS': jobs}
        # ninja is looked up on PATH.
        path = f'{venv / "bin"}{os.pathsep}{os.environ["PATH"]}'
        pip = [venv / 'bin' / 'python', '-m', 'pip']
        plain = ['--no-cache-dir', '--no-build-isolation', '--no-deps']
        run(
            [*pip, 'wheel', *plain, '-w', scratch, requirement],
            env=os.environ | options | {'PATH': path},
        )
        (built,) = scratch.glob('*.whl')
        try:
            run([*pip, 'install', '--force-reinstall', '--no-deps', built])
            run([pip[0], '-W', 'ignore', '-c', OPS])
        except SetupError as error:
            raise SetupError(
                f'{error}\nmmcv was built, but its ops do not work; the '
                f'wheel is not kept. It is in {scratch}'
            ) from error
        built.rename(folder / built.name)
        shutil.rmtree(scratch)
