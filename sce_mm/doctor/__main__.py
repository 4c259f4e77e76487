"""What is installed, whether it works, and what to do about what does not.

python -m sce_mm.doctor
"""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from .packages import (
    PACKAGES,
    family_of,
    found_modules,
    installed_distributions,
    owners_of,
)
from .version_gate import DETECTION, INSTALL_OPS, PRETRAINING, find_problems

REGISTERING = ('datasets', 'engine', 'evaluation', 'models', 'transfer')


class Finding(NamedTuple):
    """One line of the report.

    Attributes:
        well: True or False if something works or does not, None for what
            merely is so.
        text: What was found and, if broken, what to do.
    """

    well: bool | None
    text: str


def examine() -> Iterator[Finding]:
    """Look at everything that training needs, worst cases included."""
    yield Finding(
        None, f'Python {platform.python_version()} at {sys.executable}'
    )
    installed, modules = installed_distributions(), found_modules()
    for name in PACKAGES:
        absent = 'no distribution' if name in modules else 'not installed'
        owners = ', '.join(owners_of(name)) or absent
        yield Finding(None, f'{name}: {owners}')
    wants_detection = 'mmdet' in modules
    needed = DETECTION if wants_detection else PRETRAINING
    problems = find_problems(installed, modules, needed)
    for problem in problems:
        yield Finding(False, problem)
    if not problems:
        family = family_of(installed)
        yield Finding(True, f'one family ({family}), in supported versions')
    yield from _setuptools('mmengine' in installed)
    yield from _torch()
    yield from _opencv()
    if not problems:
        yield _pretraining()
        yield from _ops(wants_detection, INSTALL_OPS[family_of(installed)])
    free = shutil.disk_usage('.').free / 1e9
    yield Finding(None, f'{free:.0f} GB free here, {os.cpu_count()} CPU cores')


def _setuptools(needed: bool) -> Iterator[Finding]:
    try:
        found = version('setuptools')
    except PackageNotFoundError:
        found = 'none'
    if needed and not (found != 'none' and int(found.split('.')[0]) < 82):
        yield Finding(
            False,
            'mmengine imports pkg_resources, which setuptools has below 82 '
            f"(found: {found}): pip install 'setuptools<82'",
        )


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except Exception as error:
        remedy = 'pip install torch torchvision'
        yield Finding(False, f'torch does not import ({error!r}): {remedy}')
        return
    threads = torch.get_num_threads()
    yield Finding(True, f'torch {torch.__version__}, {threads} threads')
    if not torch.cuda.is_available():
        yield Finding(None, 'no CUDA device: everything runs on the CPU')
    for index in range(torch.cuda.device_count()):
        name = f'cuda:{index} {torch.cuda.get_device_name(index)}'
        try:
            torch.ones(2, device=f'cuda:{index}').sum().item()
        except RuntimeError as error:
            yield Finding(
                False,
                f'{name} does not work ({error}): install a torch that was '
                'built for this GPU and driver',
            )
        else:
            yield Finding(True, f'{name} works')


def _opencv() -> Iterator[Finding]:
    owners = owners_of('cv2')
    names = ' '.join(owner.split()[0] for owner in owners)
    mend = (
        f'pip uninstall -y {names} && ' if names else ''
    ) + 'pip install opencv-python-headless'
    try:
        import_module('cv2')
    except Exception as error:
        yield Finding(False, f'cv2 does not import ({error!r}): {mend}')
        return
    if len(owners) > 1:
        yield Finding(False, f'{" and ".join(owners)} both own cv2: {mend}')
    else:
        yield Finding(True, f'cv2: {", ".join(owners) or "no distribution"}')


def _pretraining() -> Finding:
    try:
        for part in REGISTERING:
            import_module(f'sce_mm.{part}')
    except Exception as error:
        return Finding(False, f'sce_mm does not import: {error!r}')
    return Finding(True, 'sce_mm imports and registers: pretraining can run')


def _ops(wanted: bool, remedy: str) -> Iterator[Finding]:
    """Run one compiled op on each kind of device that torch sees."""
    try:
        import torch

        nms = import_module('mmcv.ops').nms
    except Exception as error:
        # Pretraining does without them.
        yield Finding(
            False if wanted else None,
            f'detection cannot run, no compiled ops ({error!r}): {remedy}',
        )
        return
    for device in ('cpu', *(['cuda'] if torch.cuda.is_available() else [])):
        boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2], [4, 4, 5, 5]])
        scores = torch.tensor([0.9, 0.8, 0.7])
        try:
            kept = nms(boxes.to(device), scores.to(device), 0.5)[1].tolist()
        except Exception as error:
            kept = repr(error)
        if kept == [0, 2]:
            yield Finding(True, f'the compiled ops of mmcv work on {device}')
        else:
            text = f'nms of mmcv fails on {device} ({kept}): {remedy}'
            yield Finding(False, text)


def main() -> int:
    """Print the findings; 1 if something is broken."""
    marks = {True: '[ok]   ', False: '[BAD]  ', None: '       '}
    bad = 0
    for finding in examine():
        print(marks[finding.well] + finding.text, flush=True)
        bad += finding.well is False
    print(f'{bad} problem(s)' if bad else 'nothing to mend')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
