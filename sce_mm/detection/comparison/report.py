"""Write the result of a comparison: tables, a plot and a page."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING

from ...utils.text import printable
from ...visualization import page
from .differences import LEVEL, about_the_test, conclusion, difference
from .results import METRICS, RANDOM, Results

if TYPE_CHECKING:
    from .stages import Comparison

# Head and lines.
Table = tuple[list[str], list[list[str]]]


def write_report(comparison: Comparison) -> None:
    """Write report.html; print the answers."""
    results = comparison.results()
    path = comparison.out / 'report.html'
    path.write_text(as_page(comparison, results), encoding='utf-8')
    print(markdown_table(rows(results)), *answers(results), sep='\n')
    print(f'[compare] {printable(str(path))}')


def rows(results: Results) -> Table:
    """The table of all starts."""
    first = next(iter(next(iter(results.values())).values()))
    metrics = [name for name in METRICS if name in first[0]]
    lines = []
    for source, parts in results.items():
        for percent, seeds in parts.items():
            cells = [spread([s[m] for s in seeds]) for m in metrics]
            cells.append(gain_over_random(results, source, percent))
            lines.append([source, f'{percent:g} %', *cells, str(len(seeds))])
    gain = f'gain in box AP ({1 - LEVEL:.0%} interval)'
    return ['initialised from', 'labels', *metrics, gain, 'seeds'], lines


def spread(values: list[float]) -> str:
    """Mean and, of several values, standard deviation."""
    if len(values) == 1:
        return f'{values[0]:.1f}'
    return f'{mean(values):.1f} ± {stdev(values):.1f}'


def gain_over_random(results: Results, source: str, percent: float) -> str:
    """Gain in box AP over random initialisation and its uncertainty."""
    if source == RANDOM:
        return ''
    ours = box_ap(results, source, percent)
    gap, noise = difference(ours, box_ap(results, RANDOM, percent))
    if len(ours) == 1:
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


def markdown_table(table: Table) -> str:
    """A table as text; what a cell holds cannot break out of it."""
    head, lines = table
    text = [head, ['---'] * len(head), *lines]
    cells = [[cell.replace('|', '\\|') for cell in line] for line in text]
    return ''.join(f'| {" | ".join(line)} |\n' for line in cells)


def answers(results: Results) -> list[str]:
    """A sentence for each pair of starts, then one about the test."""
    texts = [
        conclusion(percent, pair, *(box_ap(results, n, percent) for n in pair))
        for percent in results[RANDOM]
        for pair in combinations(list(results)[::-1], 2)
    ]
    seeds = len(next(iter(results[RANDOM].values())))
    return [*texts, about_the_test(seeds, len(texts))]


def as_page(comparison: Comparison, results: Results) -> str:
    """The page."""
    *conclusions, test = answers(results)
    images = len(comparison.train['images'])
    body = [
        '<h1>Does pretraining on my images help my detector?</h1>',
        *(page.paragraph(text, 'answer') for text in conclusions),
        page.paragraph(test),
        page.table(*rows(results)),
        *plot(results, images),
    ]
    first = next(iter(results[RANDOM].values()))[0]
    what = 'mask AP' if 'mask AP' in first else 'box AP'
    for percent in results[RANDOM]:
        title = f'{what} of each class with {percent:g} % of the labels'
        body.append(page.heading(title))
        body.append(page.table(*class_rows(results, percent)))
    body += [
        page.heading('The data'),
        page.paragraph(
            f'{comparison.num_unlabelled} unlabelled images for the '
            f'pretraining, {images} labelled ones for the training and '
            f'{len(comparison.val["images"])} for the validation, '
            f'{len(comparison.classes)} classes.'
        ),
        page.paragraph(leakage(comparison.copies)),
        page.heading('The configs'),
        page.paragraph(
            'Every detector has the same data, schedule, normalisation and '
            'seeds; only what the backbone starts from differs.'
        ),
    ]
    configs = [comparison.config(name) for name in ('data', *results)]
    body += [page.folded(path.name, path.read_text()) for path in configs]
    return page.page('sce_mm: comparison', body)


def leakage(copies: list[dict]) -> str:
    """Text about validation images among the unlabelled ones."""
    names = [printable(Path(copy['second']).name) for copy in copies[:5]]
    return (
        f'{len(copies)} of the unlabelled images are validation images or '
        'near copies of them. They were left out of the pretraining: '
        f'{", ".join(names) or "none"}{", ..." if copies[5:] else ""}.'
    )


def plot(results: Results, images: int) -> list[str]:
    """Box AP against the number of labelled images, if it was varied."""
    percents = list(results[RANDOM])
    if len(percents) < 2:
        return []
    series, deviations = {}, {}
    for source in results:
        values = {p: box_ap(results, source, p) for p in percents}
        series[source] = [(images * p / 100, mean(values[p])) for p in values]
        deviations[source] = [
            stdev(v) if len(v) > 1 else 0.0 for v in values.values()
        ]
    axes = 'labelled images', 'box AP'
    caption = 'Mean over the seeds, and their standard deviation.'
    return [page.curves(series, *axes, caption, spread=deviations)]
