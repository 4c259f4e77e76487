"""What the set-up needs of the machine, asked before anything is made."""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from steps import SetupError, run, say

CACHE = Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache').expanduser()
CACHE = CACHE / 'sce_mm'


def check_disk(folder: Path, gigabytes: float) -> None:
    """Full disks end in broken packages; ask first."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    if free < gigabytes:
        raise SetupError(
            f'{free:.1f} GB are free at {folder}, about {gigabytes} GB are '
            'needed: free some, or use another disk'
        )


def check_compiler() -> None:
    """Compiling mmcv needs a C++ compiler and Python's headers."""
    compiler = os.environ.get('CXX', 'g++')
    headers = Path(sysconfig.get_paths()['include'])
    missing = []
    if shutil.which(compiler.split()[0]) is None:
        missing.append(f'a C++ compiler ({compiler} is not on PATH)')
    if not (headers / 'Python.h').is_file():
        missing.append(f"Python's headers (no {headers}/Python.h)")
    if missing:
        raise SetupError(
            f'compiling mmcv needs {" and ".join(missing)}. On Debian and '
            'Ubuntu: apt-get install build-essential python3-dev'
        )


def find_uv() -> Path:
    """The package installer: the user's, or our own in the cache."""
    try:
        run(['uv', '--version'])
        return Path('uv')
    except SetupError:
        pass
    home = CACHE / 'uv'
    if not (home / 'bin' / 'uv').exists():
        say('installing uv, the package installer')
        # Debian's Python may lack venv or pip, rarely both.
        try:
            run([sys.executable, '-m', 'venv', '--clear', home])
            pip = [home / 'bin' / 'python', '-m', 'pip', 'install']
        except SetupError as no_venv:
            shutil.rmtree(home, ignore_errors=True)
            pip = [sys.executable, '-m', 'pip', 'install', '--target', home]
            try:
                run([*pip[:3], '--version'])
            except SetupError:
                raise SetupError(
                    f'{no_venv}\nThis Python has neither venv nor pip. On '
                    'Debian and Ubuntu: apt-get install python3-venv'
                ) from no_venv
        run([*pip, 'uv'])
    return home / 'bin' / 'uv'
