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


def soak_tables(report: Report) -> str:
    """What each count did after the first quarter."""
    lines = [
        taken_on(report['machine']),
        '',
        f'{report["minutes"]:.0f} minutes, a sample every '
        f'{report["every"]:.0f} seconds; counts after the first quarter:',
        '',
        '| count | median | lowest | highest | growth in an hour |',
        '|---|---|---|---|---|',
    ]
    for name, count in sorted(report['counts'].items()):
        lines.append(
            f'| {name.replace("_", " ")} | {count["median"]:.1f} '
            f'| {count["lowest"]:.1f} | {count["highest"]:.1f} '
            f'| {count["share_in_an_hour"]:+.2%} |'
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


def estimate_tables(reports: list[Report]) -> str:
    """Estimated memory of a process, and the peak that was measured."""
    lines = [
        '| config | batch | estimated MB | measured MB | ratio |',
        '|---|---|---|---|---|',
    ]
    for report in reports:
        probe = report['probe']
        estimated, peak = probe['estimated_bytes'], probe['peak_bytes']
        lines.append(
            f'| {report["config"]} | {probe["batch"]} '
            f'| {estimated / 1e6:.0f} | {peak / 1e6:.0f} '
            f'| {peak / estimated:.2f} |'
        )
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


def evaluation_tables(report: Report) -> str:
    """Seconds of kNN and extraction, with the memory of the former."""
    knn, features = report['knn'], report['features']
    sizes = knn['sizes']
    lines = [
        taken_on(report['machine']),
        '',
        f'kNN: {sizes["queries"]} queries, bank {sizes["bank"]} of '
        f'width {sizes["width"]}, k = {sizes["k"]}. Features: '
        f'{features["images"]} images of {features["size"]} pixels, '
        f'ResNet-{features["depth"]}.',
        '',
        '| what | how | seconds | time / sce_mm | extra MB '
        '| classes as in float64 |',
        '|---|---|---|---|---|---|',
    ]
    for name, seconds in knn['seconds'].items():
        same = 100 * knn['predictions_as_in_float64'][name]
        lines.append(
            f'| kNN | {name} | {seconds:.2f} '
            f'| {seconds / knn["seconds"]["sce_mm"]:.2f} '
            f'| {knn["extra_megabytes"][name]:.0f} | {same:.2f} % |'
        )
    for name, seconds in features['seconds'].items():
        ratio = seconds / features['seconds']['sce_mm']
        lines.append(
            f'| features | {name} | {seconds:.2f} | {ratio:.2f} | | |'
        )
    return '\n'.join(lines)


def coco_metric_tables(report: Report) -> str:
    """Seconds of either metric, and whether the numbers are the same."""
    same = 'equal' if report['equal'] else 'DIFFERENT'
    lines = [
        taken_on(report['machine']),
        '',
        f'{report["images"]} images, {report["classes"]} classes, '
        f'{report["detections"]} detections an image; numbers {same}.',
        '',
        '| metric | seconds | time / FastCocoMetric |',
        '|---|---|---|',
    ]
    for name, seconds in report['seconds'].items():
        ratio = seconds / report['seconds']['FastCocoMetric']
        lines.append(f'| {name} | {seconds:.2f} | {ratio:.2f} |')
    return '\n'.join(lines)


def taken_on(machine: dict) -> str:
    """The machine in words, with the load that the benchmark met."""
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
