"""The estimate in words."""

from __future__ import annotations

from .step_timer import hours_text

GB = 2**30


def lines(report: dict, usable: float) -> list[str]:
    """What tools/analysis_tools/estimate.py prints.

    Args:
        report: Figures of the estimate.
        usable: Share of the device's memory that the largest batch may take.
    """
    probe = report['probe']
    text = [
        f'memory of a process at batch {report["batch"]}: '
        f'{report["memory_total"] / GB:.2f} GB',
        *(
            f'  {part:17s} {size / GB:7.3f} GB'
            for part, size in report['memory'].items()
        ),
        f'largest batch a process: {report["largest_batch"]}, in '
        f'{usable:.0%} of {report["device_bytes"] / GB:.1f} GB',
        f'measured on {report["device"]}, {probe["steps"]} steps of '
        f'{probe["batch"]} images: {probe["images_per_second"]:.1f} images/s, '
        + (
            'loading included'
            if report['loading']
            else 'images in memory, so loading is not in it'
        ),
    ]
    if probe['peak_bytes'] is not None:
        text.append(
            f'  peak of that process {probe["peak_bytes"] / GB:.2f} GB above '
            'its libraries, estimated '
            f'{probe["estimated_bytes"] / GB:.2f} GB'
        )
    text.append(
        f'schedule: {report["epochs"]} epochs of {report["images"]} images, '
        f'{hours_text(report["hours"])} hours in one process'
    )
    return text + _several(report.get('distributed'))


def _several(several: dict | None) -> list[str]:
    if several is None:
        return []
    network = several['network']
    return [
        f'{several["processes"]} GPUs, each with that batch, memory and rate: '
        f'{several["images_per_second"]:.1f} images/s '
        f'({several["efficiency"]:.0%} of {several["processes"]} times one), '
        f'{hours_text(several["hours"])} hours',
        '  added to a step of '
        f'{1e3 * several["seconds_per_step"]:.0f} ms: '
        + ', '.join(
            f'{what} {1e3 * seconds:.1f} ms'
            for what, seconds in several['communication_seconds'].items()
        ),
        '  assumed: ring all-reduce of the gradients, ring all-gather of keys '
        'and of what batch norm exchanges; '
        f'{network["bandwidth"] / 1e9:g} GB/s and '
        f'{1e6 * network["latency"]:g} us a message for each process; '
        f'gradients travel unseen during {network["overlap"]:.0%} of the '
        'backward pass; data keep up',
    ]
