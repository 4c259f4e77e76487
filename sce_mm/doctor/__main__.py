"""Print what is installed, whether it works, and how to fix what does not.

python -m sce_mm.doctor
"""

import platform
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any

from .packages import (
    PACKAGES,
    distributions_of,
    family_of,
    found_modules,
    has_ops,
    installed_distributions,
)
from .version_gate import (
    INSTALL_OPS,
    PRETRAINING,
    find_problems,
    pip_install,
)

# Whether something works (None for what merely is so), and the line of the
# report, with what to do if it does not.
Finding = tuple[bool | None, str]
# What pretraining does not need.
DENSE = {'mmdet': 'detection', 'mmseg': 'segmentation'}


def examine() -> Iterator[Finding]:
    """Look at everything that training needs."""
    yield None, f'Python {platform.python_version()} at {sys.executable}'
    installed, modules = installed_distributions(), found_modules()
    for name in PACKAGES:
        absent = 'no distribution' if name in modules else 'not installed'
        owners = ', '.join(distributions_of(name)) or absent
        yield None, f'{name}: {owners}'
    dense = [name for name in DENSE if name in modules]
    family = family_of(installed)
    needed = (*PRETRAINING, *dense)
    problems = find_problems(installed, modules, needed)
    for problem in problems:
        yield False, problem
    yield _try(_torch, 'torch', 'pip install torch torchvision')
    yield _opencv()
    if problems:
        return
    yield True, f'one family ({family}), in supported versions'
    yield _try(
        lambda: import_module('sce_mm').register(),
        'pretraining',
        # Upstream mmengine imports pkg_resources.
        "pip install 'setuptools<82' if pkg_resources is missing",
    )
    if dense:
        yield _try(_ops, 'mmcv with compiled ops', INSTALL_OPS[family])
    missing = {n: what for n, what in DENSE.items() if n not in dense}
    if missing:
        commands = _additions(missing, family)
        what = ' and '.join(missing.values())
        yield None, f'{what} would come with: {commands}'


def _additions(names: Iterable[str], family: str) -> str:
    """Commands that add to pretraining what it does not need."""
    commands = [pip_install(names, family)]
    if not has_ops():
        commands.insert(0, INSTALL_OPS[family])
    return ' && '.join(commands)


def _try(action: Callable[[], Any], what: str, remedy: str) -> Finding:
    try:
        return True, f'{what} works{action() or ""}'
    # Whatever a broken installation raises.
    except Exception as error:
        return False, f'{what} does not work ({error!r}): {remedy}'


def _torch() -> str:
    """Compute on each device."""
    import torch

    count = torch.cuda.device_count()
    for index in range(count):
        torch.ones(2, device=f'cuda:{index}').sum().item()
    names = ', '.join(map(torch.cuda.get_device_name, range(count)))
    return f': {torch.__version__} on {names or "the CPU alone"}'


def _opencv() -> Finding:
    owners = distributions_of('cv2')
    names = ' '.join(owner.split()[0] for owner in owners)
    remedy = 'pip install opencv-python-headless'
    if names:
        remedy = f'pip uninstall -y {names} && {remedy}'
    if len(owners) > 1:
        return False, f'{" and ".join(owners)} both own cv2: {remedy}'
    return _try(lambda: import_module('cv2') and None, 'cv2', remedy)


def _ops() -> None:
    """Run one compiled op on each kind of device that torch sees."""
    import torch

    nms = import_module('mmcv.ops').nms
    boxes, scores = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([0.9])
    for device in ('cpu', 'cuda')[: 1 + torch.cuda.is_available()]:
        nms(boxes.to(device), scores.to(device), 0.5)


def main() -> int:
    """Print the findings; 1 if something is broken."""
    marks = {True: '[ok]   ', False: '[BAD]  ', None: '       '}
    bad = 0
    for ok, text in examine():
        print(marks[ok] + text, flush=True)
        bad += ok is False
    print(f'problems found: {bad}' if bad else 'nothing to fix')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
