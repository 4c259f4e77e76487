"""Write the results of a comparison as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from ..utils.progress import clock
from ..utils.text import RANDOM
from ..visualization import page
from .differences import LEVEL, standard_error
from .facts import gap, starts_that_learned
from .results import Results
from .task import Measure, Task

# Head and lines.
Table = tuple[list[str], list[list[str]]]


def starts_table(
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
                mean_time([pretrainings[key] for key in keys if key]),
                mean_time(runs),
            ])  # fmt: skip
    head = [
        'initialised from',
        'labels',
        *metrics,
        f'gain in {measure.name} ({100 * (1 - LEVEL):.0f} % interval)',
        'p',
        'seeds',
        'time of a pretraining',
        f'time of a {measure.predictor}',
    ]
    return head, lines


def mean_time(runs: list[Any]) -> str:
    """Mean of the times of trainings, if all are known."""
    seconds = [run.get('seconds') for run in runs]
    if not seconds or None in seconds:
        return ''
    return clock(mean(seconds))


def about_the_times(
    results: Results, pretrainings: Mapping[str, Mapping[str, Any]]
) -> str:
    """A sentence on the machines that the times were taken on."""
    found = dict.fromkeys(
        f'{run["machine"]} (`--threads {run["threads"]} --jobs {run["jobs"]}`)'
        for run in [*all_runs(results), *pretrainings.values()]
        if 'machine' in run
    )
    return f'Times in h:mm:ss, on {", or ".join(found)}.' if found else ''


def all_runs(results: Results) -> list[dict[str, Any]]:
    """The results of all predictors, of all starts and parts of labels."""
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
