"""Tables of docs/benchmarks.md from what the benchmarks wrote."""

from __future__ import annotations

import re

Report = dict


def loss_tables(report: Report) -> str:
    """Time and memory of each case, and how far the results are apart."""
    lines = [
        taken_on(report['machine']),
        '',
        '| case | loss | seconds | time / sce_mm | extra MB '
        '| memory / sce_mm | gradient apart |',
        '|---|---|---|---|---|---|---|',
    ]
    for name, case in report['cases'].items():
        ours = case['extra_megabytes']['sce_mm']
        for candidate, seconds in case['seconds'].items():
            extra = case['extra_megabytes'][candidate]
            apart = case['relative_difference_of_gradient'][candidate]
            error = 'reference' if apart == 0 else f'{apart:.0e}'
            lines.append(
                f'| {name} | {candidate} | {seconds:.3f} '
                f'| {case["times_faster"][candidate]:.2f} | {extra:.1f} '
                f'| {extra / ours:.0f} | {error} |'
            )
    return '\n'.join(lines)


def step_tables(reports: list[Report]) -> str:
    """Seconds of each step, and as multiples of the bare network's."""
    lines = [
        taken_on(reports[0]['machine']),
        '',
        '| setting | batch | precision | step | seconds | / bare network |',
        '|---|---|---|---|---|---|',
    ]
    for report in reports:
        layout = ', channels last' if report['channels_last'] else ''
        for candidate, seconds in report['seconds'].items():
            ratio = report['times_the_bare_network'][candidate]
            lines.append(
                f'| {report["setting"]} | {report["batch"]} '
                f'| {report["precision"]}{layout} | {candidate} '
                f'| {seconds:.2f} | {ratio:.2f} |'
            )
    return '\n'.join(lines)


def memory_tables(report: Report) -> str:
    """Peak memory of a training process with each form of the loss."""
    sizes = ' + '.join(str(size) for size in report['sizes'])
    lines = [
        taken_on(report['machine']),
        '',
        f'Batch {report["batch"]}, views of {sizes} pixels, queue '
        f'{report["queue"]} x {report["width"]}, ResNet-18 of '
        f'{report["channels"]} channels in its first stage, float32.',
        '',
        '| process | peak MB above the libraries | of it the loss |',
        '|---|---|---|',
    ]
    for name, value in report['megabytes'].items():
        share = report['share_of_the_loss'][name]
        lines.append(f'| {name} | {value:.0f} | {100 * share:.0f} % |')
    return '\n'.join(lines)


def view_tables(reports: list[Report]) -> str:
    """Images per second of each pipeline, and how far behind it is."""
    lines = [
        taken_on(reports[0]['machine']),
        '',
        '| views | pipeline | images / s | rate of sce_mm / this |',
        '|---|---|---|---|',
    ]
    for report in reports:
        sizes = ' + '.join(str(size) for size in report['sizes'])
        for name, rate in report['images_per_second'].items():
            ratio = report['times_slower'][name]
            lines.append(f'| {sizes} | {name} | {rate:.0f} | {ratio:.2f} |')
    return '\n'.join(lines)


def taken_on(machine: dict) -> str:
    """Description of the machine and of the load beside the benchmark."""
    return (
        f'{machine["processor"]}, {machine["threads"]} thread(s) of '
        f'{machine["cores"]} cores, torch {machine["torch"]}, Python '
        f'{machine["python"]}; load of the machine at the start '
        f'{machine["load_before"]:.1f}.'
    )


def fill(page: str, name: str, table: str) -> str:
    """The page with the block of that name replaced.

    Raises:
        ValueError: The page has no such block.
    """
    block = rf'(<!-- {name} -->\n).*?(<!-- end of {name} -->)'
    page, count = re.subn(
        block, lambda m: f'{m[1]}{table}\n{m[2]}', page, flags=re.DOTALL
    )
    if count != 1:
        raise ValueError(f'the page has no block "<!-- {name} -->"')
    return page
