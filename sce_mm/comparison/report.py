"""Write the result of a comparison: a page, its tables and its plot."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from mmengine.config import Config
from mmengine.logging import print_log

from ..config.parts import innermost_dataset, samples_of_an_image
from ..datasets.labels.subsets import part_size
from ..utils.durable_files import write_durably
from ..utils.text import printable
from ..visualization import page, plots
from ..visualization.regions import regions_sheet
from .differences import (
    LEVEL,
    about_the_test,
    conclusion,
    nothing_learned,
    standard_error,
)
from .neighbours import region_neighbours
from .progress import say
from .results import (
    RANDOM,
    SCE,
    Results,
    config_file,
    longer_random,
    pretraining_config,
)
from .schedules import Schedule
from .summary import (
    Facts,
    each_part,
    facts,
    gap,
    headline,
    shown_starts,
    starts_that_learned,
    what_next,
)
from .task import Measure

if TYPE_CHECKING:
    from .comparison import Comparison
    from .task import Task

# Head and lines.
Table = tuple[list[str], list[list[str]]]
_HOUR = 3600


def write_report(comparison: Comparison) -> None:
    """Write report.html; print the answers."""
    results = comparison.results()
    task = comparison.task
    table = rows(
        task.measure, task.columns, results, comparison.pretrainings()
    )
    texts = answers(task.measure, results)
    print(markdown_table(table), *texts, sep='\n')
    path = comparison.out / 'report.html'
    write_durably(path, as_page(comparison, results).encode())
    say(printable(str(path)))


def as_page(comparison: Comparison, results: Results) -> str:
    """The page."""
    task, pretrainings = comparison.task, comparison.pretrainings()
    measure, images = task.measure, task.train_images
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
            *rows(measure, task.columns, results, pretrainings), 'All starts'
        ),
        page.paragraph(about_the_hours(results, pretrainings), 'soft'),
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


def facts_of(comparison: Comparison, results: Results) -> Facts:
    """What the headline and the advice follow from."""
    task = comparison.task
    unlabelled = len(comparison.unlabelled.paths)
    lengths = {}
    for source in results:
        if cfg := pretraining_config(comparison.out, results, source):
            lengths[source] = length_of(cfg, unlabelled)
    regions, steps = lengths.get(SCE, (False, None))
    return facts(
        task.measure,
        results,
        maker=task.maker,
        images=task.train_images,
        unlabelled=unlabelled,
        objects=task.objects,
        regions=regions,
        regions_tried=any(cut for cut, _ in lengths.values()),
        steps=steps,
        pretraining_seeds=[
            s.seed for s in comparison.starts[SCE] if s.seed is not None
        ],
    )


def length_of(cfg: Config, unlabelled: int) -> tuple[bool, int | None]:
    """Whether a pretraining cuts regions, and how many steps it takes."""
    pipeline = innermost_dataset(cfg)[1].pipeline
    regions = any(step['type'] == 'CutRegion' for step in pipeline)
    if 'max_epochs' not in cfg.train_cfg:
        return regions, cfg.train_cfg.get('max_iters')
    samples = unlabelled * samples_of_an_image(cfg)
    batches = samples // cfg.train_dataloader.batch_size
    return regions, batches * cfg.train_cfg.max_epochs


def guarded(section: Callable[[], list[str]]) -> list[str]:
    """A section with images; without it the page is still worth having.

    Its numbers took hours, and the images come from files that may be gone
    and from predictors of any kind.
    """
    try:
        return section()
    except Exception as error:
        reason = f'{type(error).__name__}: {error}'
        print_log(
            f'images of the report could not be made: {reason}',
            logger='current',
            level=logging.WARNING,
        )
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


def rows(
    measure: Measure,
    columns: Sequence[str],
    results: Results,
    pretrainings: Mapping[str, Mapping[str, Any]],
) -> Table:
    """The table of all starts, those with equal labels together.

    Args:
        measure: The value that is compared.
        columns: All values, where runs have them.
        results: Results of the predictors.
        pretrainings: How each was run, by the key that results name.
    """
    first = next(iter(next(iter(results.values())).values()))
    metrics = [name for name in columns if name in first[0]]
    lines = []
    for percent in results[RANDOM]:
        for source, parts in results.items():
            runs = parts[percent]
            cells = [as_mean(runs, [run[m] for run in runs]) for m in metrics]
            cells += gain_over_random(measure, results, source, percent)
            keys = dict.fromkeys(run.get('pretraining') for run in runs)
            lines.append([
                source,
                f'{percent:g} %',
                *cells,
                str(len(runs)),
                hours([pretrainings[key] for key in keys if key]),
                hours(runs),
            ])  # fmt: skip
    head = [
        'initialised from',
        'labels',
        *metrics,
        f'gain in {measure.name} ({100 * (1 - LEVEL):.0f} % interval)',
        'p',
        'seeds',
        'hours of a pretraining',
        f'hours of a {measure.predictor}',
    ]
    return head, lines


def hours(runs: list[Any]) -> str:
    """Mean of the hours of trainings, if all are known."""
    seconds = [run.get('seconds') for run in runs]
    if not seconds or None in seconds:
        return ''
    return f'{mean(seconds) / _HOUR:.2f}'


def about_the_hours(
    results: Results, pretrainings: Mapping[str, Mapping[str, Any]]
) -> str:
    """On what the trainings ran."""
    found = dict.fromkeys(
        f'{run["machine"]} (`--threads {run["threads"]} --jobs {run["jobs"]}`)'
        for run in [*all_runs(results), *pretrainings.values()]
        if 'machine' in run
    )
    return f'Hours on {", or ".join(found)}.' if found else ''


def all_runs(results: Results) -> list[dict[str, Any]]:
    """Every predictor."""
    return [
        run
        for parts in results.values()
        for runs in parts.values()
        for run in runs
    ]


def table_note(results: Results) -> str:
    """What the columns of the table are."""
    text = (
        'Mean ± standard error over the seeds. Gain: over random '
        'initialisation with the same seeds. p: how often starts that are '
        "equally good would differ this much (Student's paired t test)."
    )
    if any(
        len({run.get('pretraining') for run in runs}) > 1
        for parts in results.values()
        for runs in parts.values()
    ):
        text += (
            ' If a start has several pretrainings, errors and test are over '
            'the pretrainings.'
        )
    return text


def error_of(runs: list[dict[str, Any]], values: list[float]) -> float | None:
    """Standard error of the mean of runs; None for a single one."""
    return standard_error(values, [run.get('pretraining') for run in runs])


def as_mean(runs: list[dict[str, Any]], values: list[float]) -> str:
    """Mean and, of several runs, its standard error."""
    error = error_of(runs, values)
    if error is None:
        return f'{values[0]:.1f}'
    return f'{mean(values):.1f} ± {error:.1f}'


def gain_over_random(
    measure: Measure, results: Results, source: str, percent: float
) -> tuple[str, str]:
    """Gain over random initialisation with its interval, and p."""
    if source == RANDOM:
        return '', ''
    found = gap(measure, results, source, RANDOM, percent)
    if not {source, RANDOM} & starts_that_learned(measure, results, percent):
        return '', ''
    if found.seeds == 1:
        return f'{found.value:+.1f}', ''
    interval = f'{found.value:+.1f} ({found.bounds})'
    return interval, found.p_text.removeprefix('= ')


def class_tables(task: Task, results: Results) -> list[str]:
    """The metric of each class, for each part of the labels."""
    first = next(iter(results[RANDOM].values()))[0]
    what = task.class_metric(first)
    tables = []
    for percent in results[RANDOM]:
        name = f'{what} of each class with {percent:g} % of the labels'
        name = name[0].upper() + name[1:]
        table = page.table(*class_rows(results, percent), name)
        tables.append(page.fold(name, [table]))
    return tables


def class_rows(results: Results, percent: float) -> Table:
    """The metric of each class from each start: means over the seeds."""
    lines = []
    for name in results[RANDOM][percent][0]['classes']:
        cells = []
        for parts in results.values():
            runs = parts[percent]
            values = [run['classes'][name] for run in runs]
            # No start has one of a class that no image has.
            cells.append('-' if None in values else as_mean(runs, values))
        lines.append([name, *cells])
    return ['class', *results], lines


def markdown_table(table: Table) -> str:
    """A table as text; what a cell holds cannot break out of it."""
    head, lines = table
    text = [head, ['---'] * len(head), *lines]
    cells = [[cell.replace('|', '\\|') for cell in line] for line in text]
    return ''.join(f'| {" | ".join(line)} |\n' for line in cells)


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
        text += (
            f' But for {"; ".join(longer)}: there the schedule is stretched.'
        )
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
    names = [printable(Path(copy['second']).name) for copy in copies]
    shown = f': {", ".join(names[:5])}' if names else ''
    more = f' and {len(names) - 5} more' if names[5:] else ''
    return (
        f'{len(copies)} of the unlabelled images are validation images or '
        f'near copies of them, and were left out of the pretraining{shown}'
        f'{more}.'
    )
