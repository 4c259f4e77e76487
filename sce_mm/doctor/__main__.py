"""Print what is installed, whether it works, and how to fix what does not.

python -m sce_mm.doctor
"""

import platform
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, NamedTuple

from .packages import (
    PACKAGES,
    distributions_of,
    family_of,
    found_modules,
    installed_distributions,
)
from .version_gate import DETECTION, INSTALL_OPS, PRETRAINING, find_problems


class Finding(NamedTuple):
    """One line of the report.

    Attributes:
        ok: True if something works, False if it does not, None for plain
            information.
        text: Description and, if something is broken, what to do.
    """

    ok: bool | None
    text: str


def examine() -> Iterator[Finding]:
    """Look at everything that training needs."""
    yield Finding(
        None, f'Python {platform.python_version()} at {sys.executable}'
    )
    installed, modules = installed_distributions(), found_modules()
    for name in PACKAGES:
        absent = 'no distribution' if name in modules else 'not installed'
        owners = ', '.join(distributions_of(name)) or absent
        yield Finding(None, f'{name}: {owners}')
    detection, family = 'mmdet' in modules, family_of(installed)
    needed = DETECTION if detection else PRETRAINING
    problems = find_problems(installed, modules, needed)
    for problem in problems:
        yield Finding(False, problem)
    yield _try(_torch, 'torch', 'pip install torch torchvision')
    yield _opencv()
    if problems:
        return
    yield Finding(True, f'one family ({family}), in supported versions')
    yield _try(
        lambda: import_module('sce_mm').register(),
        'pretraining',
        # Upstream mmengine imports pkg_resources.
        "pip install 'setuptools<82' if pkg_resources is missing",
    )
    if detection:
        yield _try(_ops, 'compiled ops of mmcv', INSTALL_OPS[family])


def _try(action: Callable[[], Any], what: str, remedy: str) -> Finding:
    try:
        return Finding(True, f'{what} works{action() or ""}')
    # Whatever a broken installation raises.
    except Exception as error:
        return Finding(False, f'{what} does not work ({error!r}): {remedy}')


def _torch() -> str:
    """Compute on each device."""
    import torch

    names = [
        f'{torch.cuda.get_device_name(index)} (cuda:{index})'
        for index in range(torch.cuda.device_count())
        if torch.ones(2, device=f'cuda:{index}').sum().item()
    ]
    return f': {torch.__version__} on {", ".join(names) or "the CPU alone"}'


def _opencv() -> Finding:
    owners = distributions_of('cv2')
    names = ' '.join(owner.split()[0] for owner in owners)
    remedy = 'pip install opencv-python-headless'
    if names:
        remedy = f'pip uninstall -y {names} && {remedy}'
    if len(owners) > 1:
        return Finding(False, f'{" and ".join(owners)} both own cv2: {remedy}')
    return _try(lambda: import_module('cv2') and None, 'cv2', remedy)


def _ops() -> str:
    """Run one compiled op on each kind of device that torch sees.

    Raises:
        RuntimeError: It gives a wrong answer.
    """
    import torch

    nms = import_module('mmcv.ops').nms
    devices = ['cpu', *(['cuda'] if torch.cuda.is_available() else [])]
    for device in devices:
        boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2], [4, 4, 5, 5]])
        scores = torch.tensor([0.9, 0.8, 0.7])
        kept = nms(boxes.to(device), scores.to(device), 0.5)[1].tolist()
        if kept != [0, 2]:
            raise RuntimeError(f'nms keeps {kept} on {device}')
    return f' on {" and ".join(devices)}'


def main() -> int:
    """Print the findings; 1 if something is broken."""
    marks = {True: '[ok]   ', False: '[BAD]  ', None: '       '}
    bad = 0
    for finding in examine():
        print(marks[finding.ok] + finding.text, flush=True)
        bad += finding.ok is False
    print(f'{bad} problem(s)' if bad else 'nothing to fix')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
