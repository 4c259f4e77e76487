"""Keep what comparisons on real images found, and show it in the docs.

    python tools/dev/evidence.py cells work_dirs/cells
    python tools/dev/evidence.py

The first keeps OUT/results.json of a comparison in docs/evidence/cells.json,
without paths of the machine, beside what is there. Both then write the tables
of docs/transfer.md and two pictures in docs/images from all files that are
kept: evidence.png, and gain.png for the first screen of README.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from statistics import mean, median
from textwrap import fill
from typing import Any

import matplotlib

from sce_mm.cli.exit import run_main
from sce_mm.comparison.differences import standard_error
from sce_mm.comparison.results import Results
from sce_mm.comparison.tables import all_runs, markdown_table, starts_table
from sce_mm.detection.comparison.task import Detection
from sce_mm.utils.errors import UserError
from sce_mm.utils.text import RANDOM, in_path

matplotlib.use('Agg')
from matplotlib import pyplot as plt

# Of the runs of a comparison, what is kept.
KEPT = (
    *('box AP', 'box AP50', 'mask AP', 'classes', 'seed', 'pretraining'),
    *('iterations', 'epochs', 'seconds', 'threads', 'jobs', 'machine'),
)
MEASURE = Detection.measure
COLUMNS = ('box AP', 'mask AP')
# Of the times, which are means: runs that waited would tell too much.
NO_TIMES = -2
# What README shows first: comparisons with their titles, and starts.
FIRST = {
    'nuclei': 'nuclei, 46 labelled images',
    'cells_second-machine': 'blood cells, 29 labelled photographs',
}
FIRST_STARTS = {
    RANDOM: RANDOM,
    'SCE': 'SCE, 28 epochs',
    'SCE, 112 epochs': 'SCE, 112 epochs',
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('name', nargs='?', help='what the docs call it')
    parser.add_argument('out', nargs='?', type=Path, help='of sce compare')
    parser.add_argument('--docs', type=Path, default=Path('docs'))
    args = parser.parse_args()
    folder = args.docs / 'evidence'
    if args.out:
        found = kept(json.loads((args.out / 'results.json').read_text()))
        path = folder / f'{args.name}.json'
        if path.exists():
            found = joined(json.loads(path.read_text()), found)
        path.write_text(f'{json.dumps(found, indent=1)}\n')
    page = args.docs / 'transfer.md'
    reports = {
        path.stem: json.loads(path.read_text())
        for path in sorted(folder.glob('*.json'))
    }
    text = page.read_text()
    for name, report in reports.items():
        text = write_table(text, name, report)
    page.write_text(text)
    draw(reports, args.docs / 'images' / 'evidence.png')
    draw_first(reports, args.docs / 'images' / 'gain.png')


def kept(found: dict[str, Any]) -> dict[str, Any]:
    """What a comparison found, without the files that it lay in."""
    results = {
        start: {
            percent: [{k: run[k] for k in KEPT if k in run} for run in runs]
            for percent, runs in parts.items()
        }
        for start, parts in found['results'].items()
    }
    pretrainings = {
        key: {k: run[k] for k in KEPT if k in run}
        for key, run in found['pretrainings'].items()
    }
    return {
        'results': results,
        'pretrainings': pretrainings,
        'unlabelled images': found['unlabelled images'],
        'left out': found['left out'],
    }


def joined(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Two comparisons as one, with the starts and seeds of both.

    Raises:
        UserError: A training of both has another result: they were made on
            different machines, and are not to stand in one table.
    """
    for start, parts in new['results'].items():
        theirs = old['results'].setdefault(start, {})
        for percent, runs in parts.items():
            known = {run['seed']: run for run in theirs.get(percent, [])}
            for run in runs:
                first = known.setdefault(run['seed'], run)[MEASURE.name]
                if abs(first - run[MEASURE.name]) > 1e-6:
                    raise UserError(
                        f'{start}, seed {run["seed"]}: {MEASURE.name} is '
                        f'{run[MEASURE.name]:.1f}, and {first:.1f} is kept: '
                        'give this comparison a name of its own'
                    )
            theirs[percent] = [known[seed] for seed in sorted(known)]
    pretrainings = new['pretrainings'] | old['pretrainings']
    return {**old, 'pretrainings': pretrainings}


def results_of(report: dict[str, Any]) -> Results:
    """The results with numbers for the parts of the labels."""
    return {
        start: {float(percent): runs for percent, runs in parts.items()}
        for start, parts in report['results'].items()
    }


def write_table(page: str, name: str, report: dict[str, Any]) -> str:
    """The page with the table of a comparison in its place."""
    start, end = f'<!-- {name} -->\n', f'\n<!-- end of {name} -->'
    before, rest = page.split(start)
    _, after = rest.split(end)
    results, pretrainings = results_of(report), report['pretrainings']
    head, lines = starts_table(MEASURE, COLUMNS, results, pretrainings)
    table = head[:NO_TIMES], [line[:NO_TIMES] for line in lines]
    text = markdown_table(table).rstrip('\n')
    return before + start + text + '\n\n' + minutes(report) + end + after


def minutes(report: dict[str, Any]) -> str:
    """How long the runs took: medians."""
    runs = all_runs(results_of(report))
    lengths = sorted({run['iterations'] for run in runs})
    times = [
        f'{length} iterations of a detector '
        f'{minutes_of(r for r in runs if r["iterations"] == length):.1f}'
        for length in lengths
    ]
    return fill(
        f'Minutes on one core (medians): {pretraining_minutes(report)}, '
        f'{", ".join(times)}.',
        80,
    )


def pretraining_minutes(report: dict[str, Any]) -> str:
    """How long the pretrainings took; apart those whose name says epochs."""
    starts = {in_path(start): start for start in report['results']}
    lengths = defaultdict(list)
    for name, run in report['pretrainings'].items():
        start = starts[name.rpartition('_pretraining')[0]]
        named = start.rpartition(', ')[2]
        lengths[named if named.endswith('epochs') else ''].append(run)
    return ', '.join(
        f'a pretraining{" of " * bool(length)}{length} {minutes_of(runs):.1f}'
        for length, runs in lengths.items()
    )


def minutes_of(runs: Any) -> float:
    return median(run['seconds'] for run in runs) / 60


def draw(reports: dict[str, Any], path: Path) -> None:
    """Box AP of each start: mean and standard error, and each seed.

    Comparisons of one set, named ``set`` and ``set_what``, stand side by side.
    """
    sets: dict[str, dict[str, Results]] = defaultdict(dict)
    for name, report in reports.items():
        title, _, what = name.partition('_')
        sets[title][what] = results_of(report)
    columns = max(map(len, sets.values()))
    rows_of = {
        k: len({s for f in v.values() for s in f}) for k, v in sets.items()
    }
    heights = [1.1 + 0.42 * max(5, count) for count in rows_of.values()]
    figure = plt.figure(
        figsize=(2.2 + 3 * columns, sum(heights)), layout='constrained'
    )
    parts = figure.subfigures(len(sets), height_ratios=heights, squeeze=False)
    for part, (title, found) in zip(parts.flat, sets.items(), strict=True):
        draw_set(part, columns, title, found)
    figure.savefig(path, dpi=110)


def draw_first(reports: dict[str, Any], path: Path) -> None:
    """Box AP of few starts, each comparison beside the next."""
    figure, axes = plt.subplots(
        1, len(FIRST), figsize=(9, 1.9), layout='constrained', squeeze=False
    )
    for axis, (name, title) in zip(axes.flat, FIRST.items(), strict=True):
        results = results_of(reports[name])
        (percent,) = results[RANDOM]
        draw_starts(axis, [*FIRST_STARTS], results, percent)
        axis.set_yticks(axis.get_yticks(), FIRST_STARTS.values())
        for row, start in enumerate(FIRST_STARTS):
            value = mean(MEASURE.of(results, start, percent))
            place = (0.02, -row)
            transform = axis.get_yaxis_transform()
            axis.text(*place, f'{value:.1f}', transform=transform, va='center')
        # Room for the numbers, from zero on.
        axis.set_xlim(0)
        axis.tick_params(labelleft=axis is axes.flat[0])
        axis.set_title(title, fontsize=10)
    figure.savefig(path, dpi=110)


def draw_set(
    figure: Any, columns: int, title: str, found: dict[str, Results]
) -> None:
    """The comparisons of one set, all with one scale."""
    starts = list(dict.fromkeys(s for r in found.values() for s in r))
    axis: Any = None
    for number, (what, results) in enumerate(found.items(), start=1):
        ((percent, runs),) = results[RANDOM].items()
        axis = figure.add_subplot(1, columns, number, sharex=axis)
        draw_starts(axis, starts, results, percent)
        axis.tick_params(labelleft=number == 1)
        # A number of iterations is in the title anyway.
        name = '' if what.isdecimal() else what.replace('-', ' ')
        axis.set_title(
            f'{title}{", " * bool(name)}{name}\n{percent:g} % of the labels, '
            f'{runs[0]["iterations"]} iterations',
            fontsize=10,
        )


def draw_starts(
    axis: Any, starts: list[str], results: Results, percent: float
) -> None:
    """One panel: a row for each start."""
    theirs = mean(MEASURE.of(results, RANDOM, percent))
    axis.axvline(theirs, color='0.6', linewidth=1, linestyle='--')
    for row, start in enumerate(starts):
        if start not in results:
            continue
        runs = results[start][percent]
        values = MEASURE.of(results, start, percent)
        error = standard_error(values, [r.get('pretraining') for r in runs])
        axis.plot(values, [-row] * len(values), '|', color='0.6', markersize=8)
        random = start.startswith(RANDOM)
        axis.errorbar(
            mean(values),
            -row,
            xerr=error or 0,
            fmt='s' if random else 'o',
            color='0.25' if random else 'C0',
            capsize=3,
        )
    axis.set_xlabel('box AP')
    axis.set_yticks([-row for row in range(len(starts))], starts)
    axis.set_ylim(0.4 - len(starts), 0.4)
    axis.spines[['top', 'right']].set_visible(False)


if __name__ == '__main__':
    run_main(main)
