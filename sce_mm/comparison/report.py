"""Write the page of a comparison, and its plot."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from ..datasets.labels.subsets import part_size
from ..utils.durable_files import write_durably
from ..utils.progress import warn
from ..utils.text import RANDOM, printable
from ..visualization import page, plots
from ..visualization.regions import regions_sheet
from .differences import about_the_test, conclusion, nothing_learned
from .facts import Facts, facts_of, gap, starts_that_learned
from .neighbours import region_neighbours
from .progress import say
from .results import Results, config_file, longer_random, pretraining_config
from .schedules import Schedule
from .summary import each_part, headline, shown_starts, what_next
from .tables import (
    about_the_times,
    as_mean,
    class_tables,
    error_of,
    markdown_table,
    starts_table,
    table_note,
)
from .task import Measure

if TYPE_CHECKING:
    from .comparison import Comparison


def write_report(comparison: Comparison) -> None:
    """Write report.html; print the answers."""
    results = comparison.results()
    task = comparison.task
    table = starts_table(
        task.measure, task.columns, results, comparison.pretrainings()
    )
    texts = answers(task.measure, results)
    print(markdown_table(table), *texts, sep='\n')
    path = comparison.out / 'report.html'
    write_durably(path, as_page(comparison, results).encode())
    say(printable(str(path)))


def as_page(comparison: Comparison, results: Results) -> str:
    """The page of a comparison as HTML."""
    task, pretrainings = comparison.task, comparison.pretrainings()
    measure, images = task.measure, len(task.train_images())
    found = facts_of(comparison, results)
    *conclusions, test = answers(measure, results)
    body = [
        page.title(
            headline(found),
            f'Does pretraining on my images help my {task.predictor}?',
        ),
        page.paragraph(' '.join(each_part(found))),
        plot(measure, results, images, len(task.val_images())),
        page.heading('What to try next'),
        page.numbered(what_next(found)),
        page.heading('All starts', table_note(results)),
        page.table(
            *starts_table(measure, task.columns, results, pretrainings),
            'All starts',
        ),
        page.paragraph(about_the_times(results, pretrainings), 'soft'),
        page.fold(
            'Each pair of starts',
            [page.listed(conclusions), page.paragraph(test, 'soft')],
        ),
        *class_tables(task, results),
    ]
    for section in (examples, region_neighbours, regions_and_views):
        body += guarded(partial(section, comparison, results, found))
    body += about_the_data(comparison, images)
    body += about_the_configs(comparison, results)
    return page.page('sce_mm: comparison', body)


def guarded(section: Callable[[], list[str]]) -> list[str]:
    """A section with images; without it the page is still worth having.

    Its numbers took hours, and the images come from files that may be gone
    and from predictors of any kind.
    """
    try:
        return section()
    except Exception as error:
        reason = f'{type(error).__name__}: {error}'
        warn(f'images of the report could not be made: {reason}')
        return [page.paragraph(f'Images could not be made: {reason}', 'soft')]


def examples(
    comparison: Comparison, results: Results, found: Facts
) -> list[str]:
    """Labels and predictions in validation images.

    The predictors are those of the smallest part of the labels and the first
    seed, from random initialisation, from the pretraining, and from the best
    of the other starts.
    """
    task = comparison.task
    runs = {n: results[n][found.percent][0] for n in shown_starts(found)}
    files = {name: Path(run['checkpoint']) for name, run in runs.items()}
    if gone := [name for name, file in files.items() if not file.exists()]:
        return [
            page.paragraph(
                f'The checkpoints from {", ".join(gone)} are not there any '
                f'more, so there are no examples of {task.predictions}.'
            )
        ]
    title, text, rows = task.examples(
        (name, task.trained(comparison.starts[name][0].config, file))
        for name, file in files.items()
    )
    return [
        page.heading(
            title,
            f'Validation images drawn at random, and the {task.predictor}s '
            f'trained with {found.percent:g} % of the labels and seed '
            f'{runs[RANDOM]["seed"]}. {text}',
        ),
        page.panel(rows),
    ]


def regions_and_views(
    comparison: Comparison, results: Results, found: Facts
) -> list[str]:
    """The sheet of regions with their views."""
    cfg = pretraining_config(comparison.out, results, found.source)
    if cfg is None or not found.regions:
        return []
    return [page.heading('What the pretraining sees'), regions_sheet(cfg)]


def answers(measure: Measure, results: Results) -> list[str]:
    """A sentence for each pair of starts, then some about the test.

    Pairs of which neither has learned anything have one sentence together.
    """
    texts, tested = [], {}
    for percent in results[RANDOM]:
        able = starts_that_learned(measure, results, percent)
        for ours, theirs in combinations(list(results)[::-1], 2):
            if not {ours, theirs} & able:
                continue
            means = (
                mean(measure.of(results, ours, percent)),
                mean(measure.of(results, theirs, percent)),
            )
            found = gap(measure, results, ours, theirs, percent)
            texts.append(
                conclusion(measure, percent, (ours, theirs), means, found)
            )
            tested[f'{ours} against {theirs} with {percent:g} %'] = found
        if len(unable := [name for name in results if name not in able]) > 1:
            texts.append(nothing_learned(measure, percent, unable))
    return [*texts, about_the_test(measure, tested)]


def plot(
    measure: Measure, results: Results, images: int, validation: int
) -> str:
    """The measure of each start against the number of labelled images.

    With a single part of the labels, a row for each start.
    """
    percents = list(results[RANDOM])
    values = {
        source: {p: measure.of(results, source, p) for p in percents}
        for source in results
    }
    errors = {
        s: {p: error_of(results[s][p], values[s][p]) for p in percents}
        for s in results
    }
    seeds = len(values[RANDOM][percents[0]])
    caption = f'On {validation} validation images; higher is better.'
    if seeds > 1:
        caption += f' Means of {seeds} seeds, bars: ± 1 standard error.'
    if len(percents) == 1:
        points = {
            source: (mean(v[percents[0]]), errors[source][percents[0]])
            for source, v in values.items()
        }
        return plots.dots(points, measure.name, caption)
    sizes = {p: part_size(images, p) for p in percents}
    return plots.curves(
        {
            s: [(sizes[p], mean(v[p])) for p in percents]
            for s, v in values.items()
        },
        'labelled images',
        measure.name,
        f'{caption} Points of one part of the labels are set side by side.',
        spread={
            s: [of[p] or 0.0 for p in percents] for s, of in errors.items()
        },
        notes={
            s: ', then '.join(as_mean(results[s][p], v[p]) for p in percents)
            for s, v in values.items()
        },
    )


def about_the_data(comparison: Comparison, images: int) -> list[str]:
    """Numbers of images, what was left out, and what read the labels."""
    texts = [
        f'{len(comparison.unlabelled.paths)} unlabelled images for the '
        f'pretraining, {images} labelled ones for the training and '
        f'{len(comparison.task.val_images())} for the validation, '
        f'{len(comparison.task.classes)} classes.',
        leakage(comparison.unlabelled.copies),
    ]
    automatic = [
        name
        for name, (start, *_) in comparison.starts.items()
        if start.recipe and start.recipe.regions == 'auto'
    ]
    if automatic:
        texts.append(
            'The sizes of the regions (auto) come from the boxes of all '
            f'{images} labelled training images, also where the '
            f'{comparison.task.predictor}s get a part of them: '
            f'{"; ".join(automatic)}.'
        )
    return [page.heading('The data'), *map(page.paragraph, texts)]


def about_the_configs(comparison: Comparison, results: Results) -> list[str]:
    """What is equal, how long predictors train, and the configs."""
    longer = longer_random(results)
    text = (
        f'Every {comparison.task.predictor} has the same data, schedule, '
        'normalisation and seeds; only what the backbone starts from differs.'
    )
    if longer:
        text += f' But for {"; ".join(longer)}: there the schedule is longer.'
    first = next(iter(results[RANDOM].values()))[0]
    starts = [first for first, *_ in comparison.starts.values()]
    data = config_file(comparison.out, 'data')
    configs = dict.fromkeys([data, *(start.config for start in starts)])
    body = [
        page.heading('The configs'),
        page.paragraph(text),
        page.listed(lengths(results)),
    ]
    if 'command' in first:
        body += [
            page.paragraph(
                'The overrides in the command of a training come on top of '
                'its config; results.json has all commands.'
            ),
            page.folded(
                'The command of one', printable(shlex.join(first['command']))
            ),
        ]
    return body + [page.folded(p.name, p.read_text()) for p in configs]


def lengths(results: Results) -> list[str]:
    """How long the predictors train with each part of the labels."""
    texts = []
    for percent in results[RANDOM]:
        # Starts that train equally long, together.
        found: dict[str, dict[str, None]] = {}
        for source, parts in results.items():
            for run in parts[percent]:
                if 'iterations' in run:
                    length = str(Schedule(run['iterations'], run['epochs']))
                    found.setdefault(length, {})[source] = None
        texts += [
            f'With {percent:g} % of the labels: {length} '
            f'({"; ".join(sources)}).'
            for length, sources in found.items()
        ]
    return texts


def leakage(copies: list[dict]) -> str:
    """Text about validation images among the unlabelled ones."""
    if not copies:
        return (
            'None of the unlabelled images is a validation image or a near '
            'copy of one.'
        )
    names = [printable(Path(copy['second']).name) for copy in copies]
    more = f' and {len(names) - 5} more' if names[5:] else ''
    return (
        f'{len(copies)} of the unlabelled images are validation images or '
        'near copies of them, and were left out of the pretraining: '
        f'{", ".join(names[:5])}{more}.'
    )
