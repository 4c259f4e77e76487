"""Which OpenMMLab packages are installed, by whom, in which versions.

Nothing of it is imported, so that a broken stack can be described as well.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import (
    PackageNotFoundError,
    packages_distributions,
    version,
)
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple


class Package(NamedTuple):
    """Versions of an import name that we run on, and who distributes it.

    Upstream OpenMMLab in one of several, the last for pip; the maintained
    fork in one.
    """

    supported: str
    upstream: tuple[str, ...]
    onedl: str


PACKAGES = {
    'mmengine': Package(
        '>=0.8.3,<1.0', ('mmengine-lite', 'mmengine'), 'onedl-mmengine'
    ),
    'mmcv': Package(
        '>=2.0,<2.4', ('mmcv', 'mmcv-full', 'mmcv-lite'), 'onedl-mmcv'
    ),
    'mmpretrain': Package('>=1.2,<2.0', ('mmpretrain',), 'onedl-mmpretrain'),
    'mmdet': Package('>=3.2,<4.0', ('mmdet',), 'onedl-mmdetection'),
    'mmseg': Package(
        '>=1.2,<2.0', ('mmsegmentation',), 'onedl-mmsegmentation'
    ),
}


def family_of(installed: Mapping[str, str]) -> str:
    """``upstream`` if any of its distributions is there, else ``onedl``."""
    theirs = {d for p in PACKAGES.values() for d in p.upstream}
    return 'upstream' if theirs & set(installed) else 'onedl'


def installed_distributions() -> dict[str, str]:
    """Version of each distribution that could own one of the names."""
    found = {}
    for package in PACKAGES.values():
        for name in (*package.upstream, package.onedl):
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                continue
    return found


def found_modules() -> dict[str, str | None]:
    """Import names whose files are there, with the version they state."""
    modules: dict[str, str | None] = {}
    for name in PACKAGES:
        spec = find_spec(name)
        # An uninstalled package may leave a folder: it has no origin.
        if spec is None or spec.origin is None:
            continue
        file = Path(spec.origin).with_name('version.py')
        text = file.read_text(encoding='utf-8') if file.is_file() else ''
        stated = re.search(r"^__version__ = '([^']+)'", text, re.MULTILINE)
        modules[name] = stated and stated[1]
    return modules


def has_ops() -> bool:
    """Whether the files of mmcv have compiled ops among them."""
    spec = find_spec('mmcv')
    origin = spec.origin if spec else None
    return origin is not None and any(Path(origin).parent.glob('_ext.*'))


def distributions_of(module: str) -> list[str]:
    """Distributions that installed files of a top-level module."""
    names = set(_owners().get(module, ()))
    return sorted(f'{name} {version(name)}' for name in names)


# It reads the lists of files of all distributions.
_owners = cache(packages_distributions)
