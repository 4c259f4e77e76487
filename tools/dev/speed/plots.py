"""Tables and plots of docs/benchmarks.md from the files beside it.

    python tools/dev/speed/plots.py

reads docs/benchmarks/*.json, as the benchmarks wrote them, and writes the
tables of docs/benchmarks.md and the plots under docs/images.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib
from tables import (
    fill,
    loss_tables,
    memory_tables,
    step_tables,
    view_tables,
)

matplotlib.use('Agg')
from matplotlib import pyplot as plt

STYLE = {
    'sce_mm': ('tab:blue', 'o'),
    'sce_mm, plain form': ('tab:orange', 's'),
    'official form': ('tab:red', '^'),
}
TABLES = {
    'loss': loss_tables,
    'step': step_tables,
    'memory': memory_tables,
    'views': view_tables,
}
AXES = {'batch': 'batch (queue 65 536)', 'queue': 'queue (batch 256)'}


def main() -> None:
    """Write the page and the plots."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--docs', type=Path, default=Path('docs'))
    docs = parser.parse_args().docs
    reports = read(docs / 'benchmarks')
    page = docs / 'benchmarks.md'
    page.write_text(write_tables(page.read_text(), reports))
    (docs / 'images').mkdir(exist_ok=True)
    images = docs / 'images'
    draw_memory(reports['loss'], images / 'benchmark_loss_memory.png')
    draw_steps(reports['step'], images / 'benchmark_step.png')
    draw_views(reports['views'], images / 'benchmark_views.png')


def read(folder: Path) -> dict:
    """What the benchmarks wrote, by block of the page.

    Several steps come in the order of their names.
    """

    def load(name: str) -> dict:
        return json.loads((folder / f'{name}.json').read_text())

    def several(name: str) -> list[dict]:
        paths = sorted(path.stem for path in folder.glob(f'{name}-*.json'))
        return [load(path) for path in paths]

    return {
        'loss': load('loss'),
        'step': several('step'),
        'memory': load('memory'),
        'views': [load('views'), load('multicrop')],
    }


def write_tables(page: str, reports: dict) -> str:
    """The page with the tables of these reports."""
    for name, table in TABLES.items():
        page = fill(page, name, table(reports[name]))
    return page


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
    rows = (len(reports) + 1) // 2
    figure, axes = plt.subplots(
        rows, 2, figsize=(9, 2.8 * rows), squeeze=False
    )
    for axis in axes.flat[len(reports) :]:
        axis.axis('off')
    for axis, report in zip(axes.flat, reports, strict=False):
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


def draw_views(reports: list[dict], path: Path) -> None:
    """Images per second of each pipeline."""
    figure, axes = plt.subplots(1, len(reports), figsize=(9, 2.8))
    for axis, report in zip(axes, reports, strict=True):
        rates = report['images_per_second']
        bars = axis.barh(list(rates), list(rates.values()))
        axis.bar_label(bars, fmt='%.0f', padding=2)
        axis.invert_yaxis()
        axis.margins(x=0.15)
        axis.set_title(f'{len(report["sizes"])} views', fontsize=9)
        axis.set_xlabel('images per second and core')
    save(figure, path)


def save(figure: plt.Figure, path: Path) -> None:
    """Write a PNG."""
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(path)


if __name__ == '__main__':
    __starts_light__ = True
    from sce_mm.cli.exit import run_main

    run_main(main)
