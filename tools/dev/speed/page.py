"""Tables and pictures of docs/benchmarks.md from the files beside it.

    python tools/dev/speed/page.py

reads docs/benchmarks/*.json, as the benchmarks wrote them, and writes the
tables of docs/benchmarks.md and the pictures under docs/images.
"""

import argparse
import json
from pathlib import Path

import loss
import matplotlib
import memory
import scale
import start
import step
import views

from sce_mm.cli.exit import run_main

matplotlib.use('Agg')
from matplotlib import pyplot as plt

BENCHMARKS = {
    'loss': loss,
    'memory': memory,
    'step': step,
    'views': views,
    'start': start,
    'scale': scale,
}
AXES = {'batch': 'batch (queue 65 536)', 'queue': 'queue (batch 256)'}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--docs', type=Path, default=Path('docs'))
    docs = parser.parse_args().docs
    reports = read(docs / 'benchmarks')
    page = docs / 'benchmarks.md'
    page.write_text(write_tables(page.read_text(), reports))
    images = docs / 'images'
    curves = reports['loss']['memory_curve']
    draw_memory(curves, images / 'benchmark_loss_memory.png')
    draw_steps(reports['step'], images / 'benchmark_step.png')
    draw_views(reports['views'], images / 'benchmark_views.png')


def read(folder: Path) -> dict:
    """What each benchmark wrote, by its name."""
    return {
        name: json.loads((folder / f'{name}.json').read_text())
        for name in BENCHMARKS
    }


def write_tables(page: str, reports: dict) -> str:
    """The page with the tables of these reports in their places."""
    for name, benchmark in BENCHMARKS.items():
        first, last = f'<!-- {name} -->\n', f'\n<!-- end of {name} -->'
        before, rest = page.split(first)
        _, after = rest.split(last)
        page = before + first + benchmark.table(reports[name]) + last + after
    return page


def draw_memory(curves: dict, path: Path) -> None:
    """Extra memory of the loss over batch and over queue."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True)
    for axis, (name, points) in zip(axes, curves.items(), strict=True):
        for candidate, marker in zip(loss.CANDIDATES, 'os^', strict=True):
            axis.plot(
                [point[name] for point in points],
                [point[candidate] for point in points],
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
    panels = {}
    for report in reports:
        setting = f'{report["setting"]}, batch {report["batch"]}'
        bare = report['seconds']['bare network']
        panels[f'{setting}\n{step.title(report)}'] = {
            name: value / bare for name, value in report['seconds'].items()
        }
    draw_bars(panels, 'time of the bare network', '%.2f', path)


def draw_views(reports: list[dict], path: Path) -> None:
    """Images per second of each pipeline."""
    panels = {
        f'{len(report["sizes"])} views': {
            name: rate
            for name, rate in report['images_per_second'].items()
            # Beside its bar the others would be hard to tell apart.
            if name != views.DECODING
        }
        for report in reports
    }
    draw_bars(panels, 'images per second and core', '%.0f', path)


def draw_bars(
    panels: dict[str, dict[str, float]], unit: str, form: str, path: Path
) -> None:
    """Bars of each panel below its title, two panels in a row."""
    rows = (len(panels) + 1) // 2
    size = (9, 2.8 * rows)
    figure, axes = plt.subplots(rows, 2, figsize=size, squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    for axis, (title, values) in zip(axes.flat, panels.items(), strict=False):
        bars = axis.barh(list(values), list(values.values()))
        axis.bar_label(bars, fmt=form, padding=2)
        axis.invert_yaxis()
        axis.margins(x=0.15)
        axis.set_title(title, fontsize=9)
        axis.set_xlabel(unit)
    save(figure, path)


def save(figure: plt.Figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(path)


if __name__ == '__main__':
    run_main(main)
