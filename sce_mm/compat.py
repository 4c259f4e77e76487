"""Version gate: which OpenMMLab is installed, and does it fit together.

Two families own the same import names: upstream OpenMMLab and the maintained
onedl forks. Both work, a mixture does not: pip lays the files of one over
those of the other.
"""

import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distributions, version
from importlib.util import find_spec
from typing import NamedTuple

from packaging.version import Version


class Requirement(NamedTuple):
    """An import name, who distributes it, and the versions that we run on."""

    upstream: tuple[str, ...]
    onedl: str
    lowest: str
    below: str


PACKAGES = {
    'mmengine': Requirement(
        ('mmengine', 'mmengine-lite'), 'onedl-mmengine', '0.8.3', '1.0'
    ),
    'mmcv': Requirement(('mmcv', 'mmcv-lite'), 'onedl-mmcv', '2.0', '2.4'),
    'mmpretrain': Requirement(
        ('mmpretrain',), 'onedl-mmpretrain', '1.2', '2.0'
    ),
    'mmdet': Requirement(('mmdet',), 'onedl-mmdetection', '3.2', '4.0'),
}
PRETRAINING = ('mmengine', 'mmcv', 'mmpretrain')
INSTALL = {
    'onedl': "pip install 'sce_mm[onedl]'",
    'upstream': "pip install 'sce_mm[openmmlab]'",
}
INSTALL_DETECTION = (
    'detection needs mmdet and an mmcv with compiled ops. In a checkout, '
    '`make setup` installs both; by hand: pip install onedl-mmdetection, or '
    'for upstream OpenMMLab: pip install mmcv==2.1.0 mmdet==3.3.0'
)


def find_problems(
    installed: dict[str, str], needed: Iterable[str] = PRETRAINING
) -> list[str]:
    """What keeps the stack from working, each with the command that mends it.

    Args:
        installed: Version of each distribution, by name in lower case.
        needed: Import names that must be there.
    """
    owners = {
        name: [d for d in (*p.upstream, p.onedl) if d in installed]
        for name, p in PACKAGES.items()
    }
    present = [d for ds in owners.values() for d in ds]
    onedl = [d for d in present if d.startswith('onedl-')]
    upstream = [d for d in present if not d.startswith('onedl-')]
    if onedl and upstream:
        return [
            f'two families of OpenMMLab are installed: {", ".join(onedl)} '
            f'and {", ".join(upstream)}. They own the same files. Remove '
            f'both, then install one: pip uninstall -y {" ".join(present)} '
            f'&& {INSTALL["onedl"]}'
        ]
    family = 'upstream' if upstream else 'onedl'
    problems = []
    for name, package in PACKAGES.items():
        found = owners[name]
        if len(found) > 1:
            problems.append(
                f'{" and ".join(found)} both own {name}. Keep one: '
                f'pip uninstall -y {" ".join(found)} && pip install {found[0]}'
            )
        elif not found and name in needed:
            problems.append(f'{name} is missing: {INSTALL[family]}')
        elif found:
            problems += _check_version(
                name, found[0], installed[found[0]], package
            )
    return problems


def _check_version(
    name: str, owner: str, found: str, package: Requirement
) -> list[str]:
    lowest, below = Version(package.lowest), Version(package.below)
    if lowest <= Version(found) < below:
        return []
    wanted = f'{owner}>={lowest},<{below}'
    return [
        f"{name} {found} is not supported: pip install '{wanted}'",
    ]


def installed_distributions() -> dict[str, str]:
    """Version of each distribution that could own one of the names."""
    names = {d for p in PACKAGES.values() for d in (*p.upstream, p.onedl)}
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def doctor_is_running() -> bool:
    """Whether this process is ``python -m sce_mm.doctor``."""
    return ['-m', 'sce_mm.doctor'] in (
        sys.orig_argv[i : i + 2] for i in range(1, len(sys.orig_argv))
    )


def check_stack() -> None:
    """Stop the import of the package if pretraining cannot work.

    Raises:
        ImportError: Something is missing, too old or new, or mixed.
    """
    problems = find_problems(installed_distributions())
    if find_spec('torch') is None:
        problems.append('torch is missing: pip install torch torchvision')
    if problems:
        raise ImportError(
            'sce_mm cannot work with what is installed:\n'
            + ''.join(f'  - {problem}\n' for problem in problems)
            + 'python -m sce_mm.doctor shows the whole picture'
        )


def require_mmdet() -> None:
    """Stop the import of ``sce_mm.detection`` if mmdet cannot work.

    Raises:
        ImportError: mmdet or the compiled ops of mmcv are missing.
    """
    try:
        import mmcv._ext  # noqa: F401
        import mmdet  # noqa: F401
    except (ImportError, AssertionError) as error:
        # mmdet refuses versions of mmcv by assertion.
        raise ImportError(f'{error}: {INSTALL_DETECTION}') from error


def owners_of(module: str) -> list[str]:
    """Distributions that installed files of a top-level module."""
    return sorted(
        {
            d.metadata['Name']
            for d in distributions()
            for f in d.files or ()
            if f.parts and f.parts[0] == module
        }
    )
