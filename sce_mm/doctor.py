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

from .compat import (
    INSTALL_DETECTION,
    PACKAGES,
    find_problems,
    installed_distributions,
    owners_of,
)


def examine() -> Iterator[tuple[bool | None, str]]:
    """One finding after the other.

    Yields:
        True if it is well, False if it is broken, None if it merely is so;
        and one line that says what was found and, if broken, what to do.
    """
    yield None, f'Python {platform.python_version()} at {sys.executable}'
    installed = installed_distributions()
    for name in PACKAGES:
        owners = [
            f'{d} {installed[d]}' for d in owners_of(name) if d in installed
        ]
        yield None, f'{name}: {", ".join(owners) or "not installed"}'
    problems = find_problems(installed)
    for problem in problems:
        yield False, problem
    if not problems:
        yield True, 'the packages of one family, in supported versions'
    yield from _torch()
    yield from _opencv()
    yield from _registered(bool(problems))
    yield from _ops('mmdet' in [n for n in PACKAGES if owners_of(n)])
    yield from _setuptools(installed)
    free = shutil.disk_usage('.').free / 1e9
    yield None, f'{free:.0f} GB free here, {os.cpu_count()} CPU cores'


def _torch() -> Iterator[tuple[bool | None, str]]:
    try:
        import torch
    except ImportError as error:
        yield False, f'torch does not import ({error}): pip install torch'
        return
    yield True, f'torch {torch.__version__}, {torch.get_num_threads()} threads'
    if not torch.cuda.is_available():
        yield None, 'no CUDA device: everything runs on the CPU'
        return
    for index in range(torch.cuda.device_count()):
        name = torch.cuda.get_device_name(index)
        try:
            torch.ones(2, device=f'cuda:{index}').sum().item()
        except RuntimeError as error:
            yield (
                False,
                (
                    f'cuda:{index} {name} does not work ({error}): install a '
                    'torch that was built for this GPU and driver'
                ),
            )
        else:
            yield True, f'cuda:{index} {name} works'


def _opencv() -> Iterator[tuple[bool | None, str]]:
    owners = owners_of('cv2')
    try:
        cv2 = import_module('cv2')
    except ImportError as error:
        yield (
            False,
            (
                f'cv2 does not import ({error}): '
                'pip install opencv-python-headless'
            ),
        )
        return
    if len(owners) > 1:
        yield (
            False,
            (
                f'{" and ".join(owners)} both own cv2: pip uninstall -y '
                f'{" ".join(owners)} && pip install opencv-python-headless'
            ),
        )
    else:
        yield True, f'cv2 {cv2.__version__}'


def _registered(broken: bool) -> Iterator[tuple[bool | None, str]]:
    if broken:
        return
    try:
        import_module('sce_mm.models')
    except Exception as error:
        yield False, f'sce_mm.models does not import: {error!r}'
    else:
        yield True, 'sce_mm registers its model: pretraining can run'


def _ops(wanted: bool) -> Iterator[tuple[bool | None, str]]:
    try:
        import torch

        nms = import_module('mmcv.ops').nms
        boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2], [4, 4, 5, 5]])
        kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5)[1]
        works = kept.tolist() == [0, 2]
        detail = f'nms kept {kept.tolist()}'
    except (ImportError, RuntimeError) as error:
        works, detail = False, repr(error)
    if works:
        yield True, 'the compiled ops of mmcv work: detection can run'
    else:
        # Pretraining does without them.
        yield (
            (False if wanted else None),
            f'no ops ({detail}): ' + (INSTALL_DETECTION),
        )


def _setuptools(
    installed: dict[str, str],
) -> Iterator[tuple[bool | None, str]]:
    try:
        found = version('setuptools')
    except PackageNotFoundError:
        return
    if 'mmengine' in installed and int(found.split('.')[0]) >= 82:
        yield (
            False,
            (
                f'setuptools {found} has no pkg_resources, which mmengine '
                "imports: pip install 'setuptools<82'"
            ),
        )


def main() -> int:
    """Print the findings; 1 if something is broken."""
    marks = {True: '[ok]   ', False: '[BAD]  ', None: '       '}
    bad = 0
    for state, line in examine():
        print(marks[state] + line)
        bad += state is False
    print(f'{bad} problem(s)' if bad else 'nothing to mend')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
