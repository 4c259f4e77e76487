"""The result of a comparison: one table, one plot, one page."""

import json
import platform
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from ...utils.text import printable
from ...visualization import page
from .differences import LEVEL, about_the_test, difference, verdict
from .results import METRICS, RANDOM, Run
from .stages import Comparison

Results = dict[str, dict[float, list[dict[str, Any]]]]
# Head and lines.
Table = tuple[list[str], list[list[str]]]
CHECKPOINTS = 'The checkpoints, in the folder of this report'


def write_report(comparison: Comparison) -> None:
    """Write results.json, results.md and report.html."""
    results = collect(comparison)
    out = comparison.out
    (out / 'results.json').write_text(json.dumps(results, indent=2) + '\n')
    (out / 'results.md').write_text(as_markdown(results), encoding='utf-8')
    (out / 'report.html').write_text(
        as_page(comparison, results), encoding='utf-8'
    )
    print(markdown_table(rows(results)), *answer(results), sep='\n')
    print(f'[compare] {printable(str(out / "report.html"))}')


def collect(comparison: Comparison) -> Results:
    """Metrics by source and percentage, one dict a seed."""
    return {
        source: {
            percent: [
                comparison.measure(Run(source, percent, seed))
                for seed in comparison.args.seeds
            ]
            for percent in sorted(comparison.args.percent)
        }
        for source in comparison.sources
    }


def rows(results: Results) -> Table:
    """The table of all starts."""
    first = next(iter(next(iter(results.values())).values()))
    metrics = [name for name in METRICS if name in first[0]]
    lines = []
    for source, parts in results.items():
        for percent, seeds in parts.items():
            cells = [spread([s[m] for s in seeds]) for m in metrics]
            gain = gain_over_random(results, source, percent)
            lines.append(
                [source, f'{percent:g} %', *cells, gain, str(len(seeds))]
            )
    gain = f'gain in box AP ({1 - LEVEL:.0%} interval)'
    return ['initialised from', 'labels', *metrics, gain, 'seeds'], lines


def spread(values: list[float]) -> str:
    """Mean and, of several values, standard deviation."""
    if len(values) == 1:
        return f'{values[0]:.1f}'
    return f'{mean(values):.1f} ± {stdev(values):.1f}'


def gain_over_random(results: Results, source: str, percent: float) -> str:
    """Gain in box AP over random initialisation and how well it is known."""
    if source == RANDOM:
        return ''
    gap, noise = difference(
        box_ap(results, source, percent), box_ap(results, RANDOM, percent)
    )
    if len(results[source][percent]) == 1:
        return f'{gap:+.1f}'
    return f'{gap:+.1f} ({gap - noise:+.1f} to {gap + noise:+.1f})'


def box_ap(results: Results, source: str, percent: float) -> list[float]:
    """Box AP of each seed."""
    return [seed['box AP'] for seed in results[source][percent]]


def class_rows(results: Results, percent: float) -> Table:
    """AP of each class from each start: means over the seeds."""
    lines = []
    for name in results[RANDOM][percent][0]['classes']:
        values = [
            [seed['classes'][name] for seed in parts[percent]]
            for parts in results.values()
        ]
        # No start has an AP of a class of which there is no object.
        cells = [spread(v) if None not in v else '-' for v in values]
        lines.append([name, *cells])
    return ['class', *results], lines


def class_tables(results: Results) -> list[tuple[str, Table]]:
    """A title and a table for each part of the labels."""
    first = next(iter(results[RANDOM].values()))[0]
    what = 'mask AP' if 'mask AP' in first else 'box AP'
    return [
        (
            f'{what} of each class with {percent:g} % of the labels',
            class_rows(results, percent),
        )
        for percent in results[RANDOM]
    ]


def checkpoint_rows(results: Results) -> Table:
    """Where the detector of each training is, and what it started from."""
    lines = [
        [
            source,
            f'{percent:g} %',
            str(seed['seed']),
            f'{seed["box AP"]:.1f}',
            printable(seed['checkpoint']),
            printable(seed.get('backbone', '-')),
        ]
        for source, parts in results.items()
        for percent, seeds in parts.items()
        for seed in seeds
    ]
    head = ['initialised from', 'labels', 'seed', 'box AP']
    return [*head, 'detector', 'backbone at its start'], lines


def markdown_table(table: Table) -> str:
    """A table as text; what a cell holds cannot break out of it."""
    head, lines = table
    text = [head, ['---'] * len(head), *lines]
    cells = [[cell.replace('|', '\\|') for cell in line] for line in text]
    return ''.join(f'| {" | ".join(line)} |\n' for line in cells)


def as_markdown(results: Results) -> str:
    """The answers and all tables as text."""
    parts = [markdown_table(rows(results)), *answer(results)]
    for title, table in class_tables(results):
        parts += [f'{title}:', markdown_table(table)]
    parts += [f'{CHECKPOINTS}:', markdown_table(checkpoint_rows(results))]
    return '\n\n'.join(part.rstrip('\n') for part in parts) + '\n'


def answer(results: Results) -> list[str]:
    """What the numbers say of each pair of starts, then of the test."""
    pairs = [
        (percent, (ours, theirs))
        for percent in results[RANDOM]
        for theirs, ours in combinations(results, 2)
    ]
    seeds = len(next(iter(results[RANDOM].values())))
    return [
        *(
            verdict(
                percent, names, *(box_ap(results, n, percent) for n in names)
            )
            for percent, names in pairs
        ),
        about_the_test(seeds, len(pairs)),
    ]


def as_page(comparison: Comparison, results: Results) -> str:
    """The page."""
    args = comparison.args
    *answers, test = answer(results)
    body = [
        '<h1>Does pretraining on my images help my detector?</h1>',
        *(page.paragraph(text, 'answer') for text in answers),
        page.paragraph(test),
        page.table(*rows(results)),
        *plot(results, len(comparison.train['images'])),
        *(
            part
            for title, table in class_tables(results)
            for part in (page.heading(title), page.table(*table))
        ),
        page.heading(CHECKPOINTS),
        page.table(*checkpoint_rows(results)),
        page.heading('The data'),
        page.paragraph(
            f'{comparison.num_unlabelled} unlabelled images for the '
            f'pretraining, {len(comparison.train["images"])} labelled ones '
            f'for the training and {len(comparison.val["images"])} for the '
            f'validation, {len(comparison.classes)} classes.'
        ),
        page.paragraph(leakage(comparison.copies)),
        page.heading(
            'How it was run',
            'Every detector has the same data, schedule, normalisation and '
            'seeds; only what the backbone starts from differs.',
        ),
        page.paragraph(machine(args.threads)),
        page.folded(
            'Commands of the last call', '\n'.join(comparison.commands)
        ),
    ]
    configs = [comparison.config(name) for name in ('data', *results)]
    body += [page.folded(path.name, path.read_text()) for path in configs]
    return page.page('sce_mm: comparison', body)


def machine(threads: int) -> str:
    """Where it ran."""
    gpu = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if gpu else 'no GPU'
    return (
        f'{platform.machine()}, {threads} threads, {device}, '
        f'torch {torch.__version__}.'
    )


def leakage(copies: list[dict]) -> str:
    """What was found of validation images among the unlabelled ones."""
    if not copies:
        return (
            'No validation image is among the unlabelled images, nor a near '
            'copy of one.'
        )
    exact = sum(copy['exact'] for copy in copies)
    # Near copies first: they are the ones to look at.
    ranked = sorted(copies, key=lambda copy: copy['exact'])
    names = ', '.join(
        printable(Path(copy['second']).name) for copy in ranked[:5]
    )
    more = f' and {len(copies) - 5} more' if len(copies) > 5 else ''
    return (
        f'Of the unlabelled images {exact} are the same file as a validation '
        f'image, and {len(copies) - exact} are near enough to be a copy of '
        f'one. They were left out of the pretraining: {names}{more}.'
    )


def plot(results: Results, images: int) -> list[str]:
    """Box AP against the number of labelled images, if it was varied."""
    series, spread = {}, {}
    for source, parts in results.items():
        values = {
            p: [s['box AP'] for s in seeds] for p, seeds in parts.items()
        }
        series[source] = [
            (images * percent / 100, mean(v)) for percent, v in values.items()
        ]
        spread[source] = [
            stdev(v) if len(v) > 1 else 0.0 for v in values.values()
        ]
    if len(series[RANDOM]) < 2:
        return []
    caption = 'Mean over the seeds, and their standard deviation.'
    return [
        page.curves(
            series, 'labelled images', 'box AP', caption, spread=spread
        )
    ]
