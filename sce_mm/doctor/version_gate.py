"""Version gate: refuse OpenMMLab packages that do not work together.

Two families own the same import names: upstream OpenMMLab and the maintained
onedl forks. Both work, a mixture does not: pip lays the files of one over
those of the other.
"""

import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from io import StringIO

from packaging.specifiers import SpecifierSet

from .packages import (
    PACKAGES,
    family_of,
    found_modules,
    installed_distributions,
)

PRETRAINING = ('mmengine', 'mmcv', 'mmpretrain')
DETECTION = (*PRETRAINING, 'mmdet')
SEGMENTATION = (*PRETRAINING, 'mmseg')
INSTALL_OPS = {
    # onedl-mmcv 2.3.6 is released for torch up to 2.12. From 2.14 on torch
    # refuses the C++17 that it asks for.
    'onedl': "pip install 'torch<2.13' torchvision 'setuptools>=80,<82' wheel "
    'ninja psutil && '
    'MMCV_WITH_OPS=1 pip install --force-reinstall --no-deps '
    '--no-build-isolation --no-cache-dir onedl-mmcv',
    'upstream': 'pip uninstall -y mmcv mmcv-lite && pip install openmim && '
    'mim install mmcv==2.1.0',
}


def find_problems(
    installed: Mapping[str, str],
    modules: Mapping[str, str | None],
    needed: Iterable[str] = PRETRAINING,
) -> list[str]:
    """Problems of the installed packages, each with the command that fixes it.

    ``installed`` has the version of each distribution, ``modules`` the import
    names that can be found, each with the version that its own files state.
    """
    owners = {
        name: [d for d in (*p.upstream, p.onedl) if d in installed]
        for name, p in PACKAGES.items()
    }
    present = [d for ds in owners.values() for d in ds]
    onedl = [d for d in present if d.startswith('onedl-')]
    upstream = [d for d in present if not d.startswith('onedl-')]
    if onedl and upstream:
        names = [n for n in PACKAGES if n in needed or owners[n]]
        return [
            f'two families of OpenMMLab are installed: {", ".join(onedl)} '
            f'and {", ".join(upstream)}. They own the same files. Remove '
            f'both, then install one: pip uninstall -y {" ".join(present)} '
            f'&& {pip_install(names, "onedl")}'
        ]
    problems, missing = [], []
    for name in needed:
        found = owners[name]
        if len(found) > 1:
            problems.append(
                f'{" and ".join(found)} both own {name}. Keep one: '
                f'pip uninstall -y {" ".join(found)} && pip install {found[0]}'
            )
        elif name not in modules and found:
            pin = f'{found[0]}=={installed[found[0]]}'
            problems.append(
                f'{found[0]} is installed, but the files of {name} are gone: '
                f'pip install --force-reinstall --no-deps {pin}'
            )
        elif name not in modules:
            missing.append(name)
        else:
            stated = installed[found[0]] if found else modules[name]
            wanted = PACKAGES[name].supported
            if stated and stated not in SpecifierSet(wanted, prereleases=True):
                owner = found[0] if found else name
                problems.append(
                    f'{name} {stated} is not supported: '
                    f"pip install '{owner}{wanted}'"
                )
    if missing:
        command = pip_install(missing, family_of(installed))
        problems.append(f'{", ".join(missing)} is missing: {command}')
    return problems


def pip_install(names: Iterable[str], family: str) -> str:
    """The command that installs import names of a family."""
    wanted = [PACKAGES[name] for name in names]
    return 'pip install ' + ' '.join(
        f"'{p.onedl if family == 'onedl' else p.upstream[-1]}{p.supported}'"
        for p in wanted
    )


def import_quietly(*modules: str) -> None:
    """Import modules without the noise of others.

    onedl prints which optional packages it lacks, an mmcv without ops warns
    of that, and Python of strings in mmpretrain when it compiles them.
    """
    with redirect_stdout(StringIO()), warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'Fail to import ``MultiScaleDef')
        warnings.filterwarnings('ignore', category=SyntaxWarning)
        for module in modules:
            import_module(module)


@contextmanager
def without(*packages: str) -> Iterator[None]:
    """Let imports within do without optional packages, as if not installed.

    mmpretrain imports the whole of mmdet, and with it pandas, scikit-learn
    and matplotlib, for one layer of detectors, if it is there. What has been
    imported before stays.
    """
    absent = [name for name in packages if name not in sys.modules]
    # How Python is told that there is no such module.
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in absent:
            if name in sys.modules and sys.modules[name] is None:
                del sys.modules[name]


def check_stack() -> None:
    """Stop the import of the package if pretraining cannot work.

    Raises:
        ImportError: Something is missing, too old or new, or mixed.
    """
    problems = find_problems(installed_distributions(), found_modules())
    if find_spec('torch') is None:
        problems.append('torch is missing: pip install torch torchvision')
    _refuse(
        problems,
        'sce_mm cannot work with what is installed',
        'python -m sce_mm.doctor shows everything that is installed',
    )


def _refuse(problems: list[str], what: str, advice: str) -> None:
    if problems:
        lines = ''.join(f'  - {problem}\n' for problem in problems)
        raise ImportError(f'{what}:\n{lines}{advice}')


def require_mmdet() -> None:
    """Stop the import of ``sce_mm.detection`` if mmdet cannot work.

    Raises:
        ImportError: mmdet or the compiled ops of mmcv are missing.
    """
    _require(
        DETECTION,
        ('mmdet', 'mmdet.datasets'),
        'detection needs mmdet and an mmcv with compiled ops',
    )


def require_mmseg() -> None:
    """Stop the import of ``sce_mm.segmentation`` if mmseg cannot work.

    Raises:
        ImportError: mmseg or the compiled ops of mmcv are missing.
    """
    _require(
        SEGMENTATION,
        ('mmseg', 'mmseg.datasets', 'mmseg.models'),
        'segmentation needs mmseg and an mmcv with compiled ops',
    )


def _require(
    packages: tuple[str, ...], modules: tuple[str, ...], what: str
) -> None:
    """Import what needs compiled ops, or say what to install."""
    installed = installed_distributions()
    problems = find_problems(installed, found_modules(), packages)
    ops = INSTALL_OPS[family_of(installed)]
    remedy = f'Install an mmcv that has them: {ops}'
    try:
        import_module('mmcv._ext')

        remedy = f'This mmcv and {modules[0]} do not fit together'
        if not problems:
            import_quietly(*modules)
    except (ImportError, AssertionError) as error:
        # Both refuse versions of mmcv by assertion.
        problems.append(f'{error}. {remedy}')
    _refuse(problems, what, 'In a checkout, `make setup` installs both')
