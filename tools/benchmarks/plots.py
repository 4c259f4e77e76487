"""Plots of docs/benchmarks.md from the files that the benchmarks wrote.

python tools/benchmarks/plots.py --loss loss.json --step step.json \
    --out docs/images
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
from matplotlib import pyplot as plt

STYLE = {
    'sce_mm': ('tab:blue', 'o'),
    'sce_mm, plain form': ('tab:orange', 's'),
    'official form': ('tab:red', '^'),
}
AXES = {'batch': 'batch (queue 65 536)', 'queue': 'queue (batch 256)'}


def main() -> None:
    """Draw what there are figures for."""
    args = parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.loss:
        report = json.loads(args.loss.read_text())
        draw_memory(report, args.out / 'benchmark_loss_memory.png')
    if args.step:
        reports = [json.loads(path.read_text()) for path in args.step]
        draw_steps(reports, args.out / 'benchmark_step.png')


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--loss', type=Path, help='JSON of loss.py')
    parser.add_argument(
        '--step', type=Path, nargs='+', help='JSON of step.py, several runs'
    )
    parser.add_argument('--out', type=Path, default=Path('docs/images'))
    return parser.parse_args()


def draw_memory(report: dict, path: Path) -> None:
    """Extra memory of the loss over batch and over queue."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True)
    for axis, (name, points) in zip(
        axes, report['memory_curve'].items(), strict=True
    ):
        for candidate, (colour, marker) in STYLE.items():
            axis.plot(
                [point[name] for point in points],
                [point[candidate] for point in points],
                color=colour,
                marker=marker,
                label=candidate,
            )
        axis.set_xscale('log', base=2)
        axis.set_yscale('log')
        axis.set_xlabel(AXES[name])
        axis.grid(alpha=0.3)
    axes[0].set_ylabel('extra memory, MB')
    axes[0].legend()
    save(figure, path)


def draw_steps(reports: list[dict], path: Path) -> None:
    """Seconds of each step as multiples of the bare network's."""
    figure, axes = plt.subplots(
        1, len(reports), figsize=(4.5 * len(reports), 3), squeeze=False
    )
    for axis, report in zip(axes[0], reports, strict=True):
        ratios = report['times_the_bare_network']
        bars = axis.barh(list(ratios), list(ratios.values()))
        axis.bar_label(bars, fmt='%.2f', padding=2)
        axis.axvline(1, color='black', linewidth=0.8)
        axis.invert_yaxis()
        axis.margins(x=0.15)
        layout = ', channels last' if report['channels_last'] else ''
        axis.set_title(
            f'{report["setting"]}, batch {report["batch"]}\n'
            f'{report["precision"]}{layout}',
            fontsize=9,
        )
        axis.set_xlabel('time of the bare network')
    save(figure, path)


def save(figure: plt.Figure, path: Path) -> None:
    """Write a PNG."""
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(path)


if __name__ == '__main__':
    main()
