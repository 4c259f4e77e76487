"""Time and memory on one GPU, as ratios within one run.

    python tools/dev/speed/gpu.py --seconds 240 --json gpu.json

Sections in the order of worth, each with a share of the seconds: the loss
against the official order of operations; the whole step of a ResNet-50
against the bare passes of its networks and against mmpretrain's MoCo v3; what
loaders bring against what the step eats; the memory of the ImageNet recipes
against the estimate; nearest neighbours of ImageNet; the step with compiled
backbones. What a section leaves goes to those after it. The file is written
after each section, so that a run that is cut off keeps what it measured.

Without a GPU nothing is measured, and the exit code is 69. ``--read`` prints
the tables of a file and draws its plot, on any machine.

The shares were estimated, not measured, for an H100: 2 500 images a second
forward and backward through a ResNet-50 in bfloat16 (a step of SCE has 2.7
such passes an image, and is taken 17 times at batches of 128, 256 and 512 by
four candidates), 20 TFLOP/s for the products of the loss in float32, half a
minute to count the memory of six recipes on processor cores, 30 TFLOP/s for
the neighbours in float64, and a minute and a half to compile, which is not
interrupted when the time is up.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

__starts_light__ = True  # Registers what it needs once it has a GPU.

from sce_mm.cli.argument_types import positive_float
from sce_mm.cli.arguments import ArgumentParser
from sce_mm.cli.exit import run_main

# EX_UNAVAILABLE of sysexits.h: neither success nor the failure of anything.
NO_GPU = 69
Report = dict[str, Any]


class Section(NamedTuple):
    """A part of the measurements.

    Attributes:
        share: Of the seconds, as an estimate.
        measure: Name of the function in gpu_sections.py.
        rows: Lines of a table from the figures.
        header: Their columns.
    """

    share: float
    measure: str
    rows: Callable[[Report], list[str]]
    header: str


def main() -> None:
    args = parse_args()
    # Large and small batches follow one another. Set before torch is there.
    # torch 2.9 calls the name old, but ignores the new one on CUDA.
    os.environ.setdefault(
        'PYTORCH_CUDA_ALLOC_CONF', 'expandable_segments:True'
    )
    if args.check or not args.read:
        require_gpu()
    if args.check:
        return
    if args.read:
        report = json.loads(args.read.read_text())
    else:
        report = measure(args.seconds, args.json)
    print(text(report))
    if args.plot:
        plot(report, args.plot)
    failed = [k for k, v in report['sections'].items() if 'failed' in v]
    if failed:
        sys.exit(f'could not be measured: {", ".join(failed)}')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument(
        '--seconds',
        type=positive_float,
        default=240.0,
        help='seconds of all measurements together (default: 240)',
    )
    parser.add_argument(
        '--json', type=Path, help='write the figures here, section by section'
    )
    parser.add_argument(
        '--read', type=Path, help='measure nothing, show this file'
    )
    parser.add_argument(
        '--plot', type=Path, help='draw the ratios here (needs matplotlib)'
    )
    parser.add_argument(
        '--check', action='store_true', help='only say whether there is a GPU'
    )
    return parser.parse_args(argv)


def require_gpu() -> None:
    """Say that there is no GPU, if so, and exit."""
    import torch

    if not torch.cuda.is_available():
        print(
            f'no GPU: torch {torch.__version__} of {sys.executable} finds no '
            f'CUDA device, so nothing was measured (exit code {NO_GPU})',
            file=sys.stderr,
        )
        sys.exit(NO_GPU)


def measure(seconds: float, file: Path | None) -> Report:
    """Figures of all sections."""
    import torch

    from sce_mm import register

    register()
    import gpu_sections

    plan = gpu_sections.Plan(torch.device('cuda'))
    return run_sections(plan, seconds, file)


def run_sections(plan: Any, seconds: float, file: Path | None) -> Report:
    """Measure section after section and write the file after each."""
    import gpu_sections
    from measuring import Clock, free_memory

    report: Report = {
        'machine': machine(plan.device),
        'budget_seconds': seconds,
        'sections': {},
    }
    clock, shares = Clock(seconds), sum(s.share for s in SECTIONS.values())
    for name, section in SECTIONS.items():
        print(f'measuring: {name}', flush=True)
        start = time.perf_counter()
        part = Clock(max(1.0, clock.left() * section.share / shares))
        shares -= section.share
        try:
            figures = getattr(gpu_sections, section.measure)(plan, part)
        except Exception as error:
            # The others are worth having still.
            figures = {'failed': f'{type(error).__name__}: {error}'[:500]}
        took = time.perf_counter() - start
        report['sections'][name] = {'seconds': took, **figures}
        if file:
            write(file, report)
        # A section that failed has left its tensors in the error. After some
        # errors a device says no more than that error again.
        with suppress(RuntimeError):
            free_memory()
    return report


def write(file: Path, report: Report) -> None:
    """Write the report, so that the file is whole at any time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f'.{file.name}.partial')
    draft.write_text(json.dumps(report, indent=2) + '\n')
    draft.replace(file)


def machine(device: Any) -> Report:
    """Device and versions behind the figures."""
    import mmcv
    import mmengine
    import mmpretrain
    import torch

    found: Report = {
        'device': 'CPU',
        'cores': os.cpu_count(),
        'python': platform.python_version(),
        'torch': torch.__version__,
        'cuda': torch.version.cuda,
        'cudnn': torch.backends.cudnn.version(),
        'mmengine': mmengine.__version__,
        'mmcv': mmcv.__version__,
        'mmpretrain': mmpretrain.__version__,
    }
    if device.type == 'cuda':
        properties = torch.cuda.get_device_properties(device)
        found['device'] = properties.name
        found['gigabytes'] = properties.total_memory / 1e9
    return found


def text(report: Report) -> str:
    """Tables of all sections that were measured."""
    about = report['machine']
    lines = [
        f'{about["device"]}, {about["cores"]} cores, torch {about["torch"]} '
        f'(CUDA {about["cuda"]}), mmpretrain {about["mmpretrain"]}, Python '
        f'{about["python"]}'
    ]
    for name, figures in report['sections'].items():
        section = SECTIONS[name]
        lines += ['', f'{name} ({figures["seconds"]:.0f} s)', '']
        if rows := section.rows(figures):
            columns = section.header.count('|') - 1
            lines += [section.header, '|' + '---|' * columns, *rows]
        for what in ('failed', 'left out'):
            if what in figures:
                lines.append(f'{what}: {figures[what]}')
    return '\n'.join(lines)


def candidate_rows(figures: Report) -> list[str]:
    """Time and memory of each candidate, and both over the first one's."""
    rows = []
    for case, candidates in cases_of(figures):
        for name, value in candidates.items():
            if 'failed' in value:
                rows.append(f'| {case} | {name} | {value["failed"]} | | | |')
                continue
            memory = ' | '
            if value.get('peak_megabytes'):
                memory = (
                    f'{value["peak_megabytes"]:.0f} '
                    f'| {value["peak_megabytes_ratio"]:.2f}'
                )
            rows.append(
                f'| {case} | {name} | {value["milliseconds"]:.2f} '
                f'| {value["milliseconds_ratio"]:.2f} | {memory} |'
            )
    return rows


def cases_of(figures: Report) -> list[tuple[str, dict[str, Report]]]:
    """Cases of a section with the figures of their candidates."""
    return [(k, v) for k, v in figures.items() if isinstance(v, dict)]


def loader_rows(figures: Report) -> list[str]:
    """Images a second of each part, and of the two arrangements."""
    return [
        f'| {name} | {value:.0f} |'
        for name, value in figures.items()
        if name not in ('seconds', 'workers') and isinstance(value, float)
    ]


def memory_rows(figures: Report) -> list[str]:
    """Real memory of each recipe over the estimate."""
    rows = []
    for name, value in cases_of(figures):
        if 'failed' in value:
            rows.append(f'| {name} | {value["failed"]} | | | |')
            continue
        rows.append(
            f'| {name} | {value["batch"]} | {value["gigabytes"]:.2f} '
            f'| {value["estimated_gigabytes"]:.2f} | {value["ratio"]:.2f} |'
        )
    return rows


def knn_rows(figures: Report) -> list[str]:
    """Seconds for all queries, and over those of the first."""
    return [
        f'| {name} | {value["seconds_for_all"]:.1f} '
        f'| {value["seconds_for_all_ratio"]:.2f} '
        f'| {value["queries_measured"]} '
        f'| {value.get("peak_megabytes", float("nan")):.0f} |'
        for name, value in cases_of(figures)
    ]


CANDIDATES = '| case | candidate | ms | time / first | extra MB | MB / first |'
SECTIONS = {
    'loss': Section(0.08, 'measure_loss', candidate_rows, CANDIDATES),
    'step': Section(0.22, 'measure_step', candidate_rows, CANDIDATES),
    'loader': Section(
        0.12, 'measure_loader', loader_rows, '| part | images / s |'
    ),
    'memory of recipes': Section(
        0.15,
        'measure_memory',
        memory_rows,
        '| recipe | batch | GB | GB estimated | real / estimated |',
    ),
    'kNN of ImageNet': Section(
        0.13,
        'measure_knn',
        knn_rows,
        '| search | seconds | time / first | queries measured | extra MB |',
    ),
    'compiled step': Section(
        0.3, 'measure_compiled_step', candidate_rows, CANDIDATES
    ),
}


def plot(report: Report, file: Path) -> None:
    """Bars of the times of loss and step over those of the first."""
    try:
        from page import draw_bars
    except ImportError as error:
        print(f'{file} was not drawn: {error}', file=sys.stderr)
        return
    panels = {
        f'{name}, {case}': {
            candidate: value['milliseconds_ratio']
            for candidate, value in candidates.items()
            if 'failed' not in value
        }
        for name in ('loss', 'step', 'compiled step')
        for case, candidates in cases_of(report['sections'].get(name, {}))
    }
    if panels:
        draw_bars(panels, 'time of the first', '%.2f', file)


if __name__ == '__main__':
    run_main(main)
