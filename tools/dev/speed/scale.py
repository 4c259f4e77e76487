"""Processor seconds and memory of commands, by the number of images.

    python tools/dev/speed/scale.py --json scale.json

Images are small JPEG files, no two alike, so that reading the files and what
is kept of each of them counts, not decoding. Each case is a process of its
own with those that it starts; the memory is the peak of the largest one. A
case that grows in proportion has a ratio below that of the numbers of images.
"""

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measuring import command, machine, table_text

from sce_mm.cli.exit import run_main

# A process counts the memory of the one that it was made from: a small one.
_LAUNCH = """
import resource, subprocess, sys
python, *words = sys.argv[1:]
nothing = subprocess.DEVNULL
run = [python, '-W', 'ignore', *words]
code = subprocess.call(run, stdout=nothing, stderr=nothing)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(code, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""
# A process without a case: what every command takes.
_BASE = 'import sce_mm; sce_mm.register()'
_SEARCH = """
import sys, sce_mm
from sce_mm.datasets.images.file_lists import find_images
find_images(['images'])
"""
_COPIES = """
import sys, numpy as np
from sce_mm.datasets.images.near_duplicates import Fingerprint, group_copies
draw = np.random.default_rng(0).integers
prints = [
    Fingerprint(str(n), draw(0, 256, (16, 17), dtype=np.uint8))
    for n in range(int(sys.argv[1]))
]
group_copies(prints)
"""
_KNN = """
import sys, torch, sce_mm
from sce_mm.evaluation.neighbours import nearest
count = int(sys.argv[1])
nearest(torch.randn(count, 512), torch.randn(count // 10, 512), 20)
"""
# As commands end, whose interpreters are not taken down.
_END = '\nimport os; os._exit(0)'
CASES = {
    'import alone': _BASE,
    'search of the folder': _SEARCH,
    'near copies, of random fingerprints': _COPIES,
    'kNN, random features of width 512, a tenth are queries': _KNN,
}
COMMANDS = {
    'sce cache, short side 32': (
        *('cache', 'images', 'cache', '--short-side', '32', '--workers', '2'),
    ),
    'sce data': ('data', 'images', '--workers', '2'),
}


def measure(small: int, large: int) -> dict[str, Any]:
    """Seconds and megabytes of all cases, with few images and with many."""
    report: dict[str, Any] = {'machine': machine(), 'images': [small, large]}
    report['cases'] = {name: [] for name in (*CASES, *COMMANDS)}
    for count in (small, large):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_images(folder / 'images', count)
            for case, found in report['cases'].items():
                if case in CASES:
                    words = ['-c', CASES[case] + _END, str(count)]
                else:
                    words = ['-m', 'sce_mm', *COMMANDS[case]]
                found.append(cost(words, folder))
                print(f'{count} images, {case}: {found[-1]}', flush=True)
    return report


def cost(words: list[str], folder: Path) -> dict[str, float]:
    """Processor seconds and peak megabytes of a new Python."""
    path = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, '-I', '-S', '-c', _LAUNCH, sys.executable, *words],
        cwd=folder,
        env={**os.environ, 'PYTHONPATH': path},
        capture_output=True,
        text=True,
    )
    code, seconds, kilobytes = done.stdout.split()
    if code != '0':
        raise RuntimeError(f'exit code {code} of {words}')
    return {'seconds': float(seconds), 'megabytes': float(kilobytes) / 1e3}


def write_images(folder: Path, count: int) -> None:
    """Smooth noise of 64 x 48 pixels, a thousand files a folder."""
    random = np.random.default_rng(0)
    for number in range(count):
        parent = folder / f'{number // 1000:04}'
        if number % 1000 == 0:
            parent.mkdir(parents=True)
        noise = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        image = cv2.resize(noise, (64, 48), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(parent / f'{number}.jpg'), image)


def table(report: dict[str, Any]) -> str:
    """Seconds and megabytes of each case, and how they grow."""
    small, large = report['images']
    header = (
        f'| case | s, {small:,} images | s, {large:,} | times '
        f'| MB, {small:,} | MB, {large:,} |'
    )
    rows = []
    for case, (few, many) in report['cases'].items():
        seconds = few['seconds'], many['seconds']
        memory = few['megabytes'], many['megabytes']
        rows.append(
            f'| {case} | {seconds[0]:.1f} | {seconds[1]:.1f} '
            f'| {seconds[1] / seconds[0]:.1f} '
            f'| {memory[0]:.0f} | {memory[1]:.0f} |'
        )
    return table_text(report['machine'], header, rows)


if __name__ == '__main__':
    sizes = dict(small=10_000, large=100_000)
    run_main(partial(command, __doc__, measure, table, **sizes))
