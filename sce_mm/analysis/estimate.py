"""Estimate the memory, the largest batch and the hours of a training run."""

import os
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from ..config.epochs import count_samples
from ..config.parts import innermost_datasets
from ..utils.errors import UserError
from .memory import batch_multiple, count_memory
from .probe import probe
from .step_timer import SECONDS, time_text

GB, MB = 2**30, 2**20
# Share of the memory of a device that tensors may take.
USABLE = 0.9


def estimate(
    cfg: Config,
    device: str = 'cpu',
    images: int | None = None,
    device_memory: float | None = None,
    probe_seconds: float = SECONDS,
    probe_batch: int | None = None,
) -> dict:
    """Estimate what a training of this config takes on one device.

    Args:
        cfg: Config. Its batch size is replaced by that of the probe.
        device: The device to try it on, ``'cpu'`` or ``'cuda'``.
        images: Number of images of the data set, where it is not here.
        device_memory: Memory to fit into, in units of 2^30 bytes; by default
            that of the device.
        probe_seconds: Seconds of real steps.
        probe_batch: Images of a step of the probe; by default the batch size
            of the config.

    Returns:
        Figures in seconds, bytes and images.

    Raises:
        UserError: The data are missing, or the options do not fit.
    """
    loading = has_data(cfg)
    epochs = cfg.get('train_cfg', {}).get('max_epochs')
    if not epochs:
        raise UserError(
            'the estimate multiplies images with train_cfg.max_epochs, which '
            'this config does not have'
        )
    if not loading and not images:
        raise UserError(
            'the images of this config are not here, so say how many there '
            'are, for example --images 1281167 for ImageNet-1k; or give '
            '--data DIR'
        )
    if device == 'cuda' and not torch.cuda.is_available():
        raise UserError('--device cuda: there is no GPU here, use cpu')
    batch = cfg.train_dataloader.batch_size
    tried = probe_batch or batch
    if loading and (samples := count_samples(cfg)) < tried:
        raise UserError(
            f'{samples} images are not one batch of {tried} to try: use more '
            f'images, or a smaller batch, --probe-batch {max(2, samples // 2)}'
        )
    memory = count_memory(cfg)
    if device_memory:
        device_bytes = GB * device_memory
    elif device == 'cuda':
        device_bytes = torch.cuda.get_device_properties(0).total_memory
    else:
        device_bytes = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    cfg.train_dataloader.batch_size = tried
    measured = probe(cfg, device, probe_seconds, loading)
    images = images or measured['images']
    seconds = images * epochs / measured['images_per_second']
    multiple = batch_multiple(cfg)
    fitting = memory.largest_batch(USABLE * device_bytes, multiple)
    return {
        'config': Path(cfg.filename).name,
        'batch': batch,
        'memory': memory.parts(batch),
        'memory_total': memory.total(batch),
        'device': device,
        'device_bytes': device_bytes,
        'fitting_batch': fitting,
        # A batch holds no image twice.
        'largest_batch': min(fitting, images - images % multiple),
        'loading': loading,
        'probe': measured
        | {'batch': tried, 'estimated_bytes': memory.total(tried)},
        'images': images,
        'epochs': epochs,
        'hours': seconds / 3600,
    }


def has_data(cfg: Config) -> bool:
    """Whether folders or lists of the training data sets are there."""
    return all(_has_images(dataset) for _, dataset in innermost_datasets(cfg))


def _has_images(dataset: dict[str, Any]) -> bool:
    roots = dataset.get('data_root') or []
    roots = [roots] if isinstance(roots, str) else roots
    if not any(roots) and (list_file := dataset.get('ann_file')):
        return Path(list_file).expanduser().is_file()
    return bool(roots) and all(
        Path(root).expanduser().exists() for root in roots
    )


def estimate_text(report: dict) -> str:
    """The figures of :func:`estimate` as lines of text."""
    probe = report['probe']
    source = 'images in memory, so loading is not in it'
    if report['loading']:
        source = 'loading included'
    largest = report['largest_batch']
    if largest < report['fitting_batch']:
        largest = (
            f'{largest}, for there are no more images; '
            f'{report["fitting_batch"]} would fit'
        )
    lines = [
        f'memory of a process at batch {report["batch"]}: '
        f'{size_text(report["memory_total"])}',
        *(
            f'  {part:17s} {size_text(size):>10}'
            for part, size in report['memory'].items()
        ),
        f'largest batch of a process: {largest}, in '
        f'{USABLE:.0%} of {size_text(report["device_bytes"])}',
        f'measured on {report["device"]}, {probe["steps"]} steps of '
        f'{probe["batch"]} images: {probe["images_per_second"]:.1f} images/s, '
        f'{source}',
    ]
    if probe['peak_bytes'] is not None:
        lines.append(
            f'  peak of that process {size_text(probe["peak_bytes"])} above '
            f'its libraries, estimated {size_text(probe["estimated_bytes"])}'
        )
    lines.append(
        f'schedule: {report["epochs"]} epochs of {report["images"]} samples, '
        f'{time_text(report["hours"])} in one process'
    )
    return '\n'.join(lines)


def size_text(size: float) -> str:
    """Bytes in units of 2^30 or, if there are few, of 2^20.

    >>> size_text(2.5 * 2**30), size_text(3 * 2**20)
    ('2.50 GB', '3.0 MB')
    """
    return f'{size / GB:.2f} GB' if size >= GB / 10 else f'{size / MB:.1f} MB'
