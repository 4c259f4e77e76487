"""The result of a comparison: one table, one plot, one page."""

import json
import platform
from pathlib import Path
from statistics import mean, stdev

import torch

from sce_mm.visualization import page

from .results import METRICS, RANDOM, Run
from .stages import Comparison

Results = dict[str, dict[float, list[dict[str, float]]]]


def write_report(comparison: Comparison) -> None:
    """Write results.json, results.md and report.html."""
    results = collect(comparison)
    out = comparison.out
    (out / 'results.json').write_text(json.dumps(results, indent=2) + '\n')
    (out / 'results.md').write_text(as_markdown(results))
    (out / 'report.html').write_text(
        as_page(comparison, results), encoding='utf-8'
    )
    print(as_markdown(results), end='')
    print(f'[compare] {out / "report.html"}')


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


def rows(results: Results) -> tuple[list[str], list[list[str]]]:
    """Head and lines of the table."""
    first = next(iter(next(iter(results.values())).values()))
    metrics = [name for name in METRICS if name in first[0]]
    lines = []
    for source, parts in results.items():
        for percent, seeds in parts.items():
            cells = [spread([s.get(m, 0.0) for s in seeds]) for m in metrics]
            lines.append([source, f'{percent:g} %', *cells, str(len(seeds))])
    return ['initialised from', 'labels', *metrics, 'seeds'], lines


def spread(values: list[float]) -> str:
    """Mean and, of several values, standard deviation."""
    if len(values) == 1:
        return f'{values[0]:.1f}'
    return f'{mean(values):.1f} ± {stdev(values):.1f}'


def as_markdown(results: Results) -> str:
    """The table as text."""
    head, lines = rows(results)
    text = [head, ['---'] * len(head), *lines]
    return ''.join(f'| {" | ".join(line)} |\n' for line in text)


def answer(results: Results) -> list[str]:
    """What the numbers say, one sentence for each part of the labels."""
    sentences = []
    for percent, baseline in results[RANDOM].items():
        others = {
            source: parts[percent]
            for source, parts in results.items()
            if source != RANDOM
        }
        for source, seeds in others.items():
            sentences.append(verdict(source, percent, seeds, baseline))
    return sentences


def verdict(
    source: str,
    percent: float,
    seeds: list[dict[str, float]],
    baseline: list[dict[str, float]],
) -> str:
    """Better, worse or not told apart from random initialisation."""
    ours = [s['box AP'] for s in seeds]
    theirs = [s['box AP'] for s in baseline]
    gap = mean(ours) - mean(theirs)
    text = (
        f'With {percent:g} % of the labels, {source} reaches '
        f'{mean(ours):.1f} box AP against {mean(theirs):.1f}'
    )
    if len(ours) < 2:
        return text + ': one seed, which says nothing of the spread.'
    # Two standard errors of a difference of two means.
    noise = 2 * ((stdev(ours) ** 2 + stdev(theirs) ** 2) / len(ours)) ** 0.5
    if abs(gap) <= noise:
        return text + f': not told apart (noise about {noise:.1f}).'
    word = 'better' if gap > 0 else 'worse'
    return text + f': {word} by {abs(gap):.1f} (noise about {noise:.1f}).'


def as_page(comparison: Comparison, results: Results) -> str:
    """The page."""
    head, lines = rows(results)
    args = comparison.args
    body = [
        '<h1>Does pretraining on my images help my detector?</h1>',
        *(page.paragraph(text, 'answer') for text in answer(results)),
        page.table(head, lines),
        *plot(results, len(comparison.train['images'])),
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
    names = ', '.join(Path(copy['second']).name for copy in ranked[:5])
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
