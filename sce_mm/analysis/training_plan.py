"""Plan a pretraining on some images: what follows from what they are."""

from __future__ import annotations

import shutil
import textwrap
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

from mmengine.config import Config

from ..config.counts import queues, step_images
from ..config.epochs import MOST, auto_epochs
from ..config.parts import image_side, samples_of_an_image, view_transforms
from ..config.regions import cuts_regions
from ..datasets.images import inspection
from ..datasets.images.regions import regions_of
from ..models.utils.memory_queue import fitting_length
from ..utils.text import counted
from .image_report import ImageReport

# What is recommended on a GPU and without one.
RECIPES = {
    'cuda': 'sce_resnet50_1xb128-amp-coslr-200e_folder',
    'cpu': 'sce_resnet18_1xb64-coslr-200e_folder',
}
# A step less than this share of an epoch mixes its images well.
_STEPS_OF_EPOCH = 4
_LEAST_BATCH = 8
# With fewer samples, a run on real images showed no gain beyond the noise.
FEW = 1000
# Seconds: making the views of an image takes less than decoding it then.
_SLOW_DECODING = 0.01
# Short side of a cache of whole images, for each pixel of a view's side; of
# the free disk, what a cache may take; bytes of a pixel.
_CACHED, _SHARE, _BYTES = 8 / 7, 0.5, 3
# Side of regions that is proposed for scenes.
_REGION = 128


@dataclass
class TrainingPlan:
    """A pretraining that fits some images.

    Attributes:
        recipe: Name of the config.
        words: Options of ``sce train`` behind recipe and images.
        samples: Samples of an epoch.
        batch: Images of a step.
        epochs: Their number.
        queue: Keys in the queue; None without one.
        advice: Sentences on the rest.
    """

    recipe: str
    words: list[str] = field(default_factory=list)
    samples: int = 0
    batch: int = 0
    epochs: int = 0
    queue: int | None = None
    advice: list[str] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """Optimiser steps of the run."""
        return self.epochs * max(1, self.samples // self.batch)

    def figures(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {**vars(self), 'steps': self.steps}


def plan_training(
    cfg: Config,
    recipe: str,
    report: ImageReport,
    folder: Path,
    keep: Path | None = None,
) -> TrainingPlan:
    """Fit batch, epochs and queue of a config to images; say what follows.

    Args:
        cfg: Config on these images, with the regions that are wanted. Batch
            and queue are changed.
        recipe: What the user calls it.
        report: What was found out about the images.
        folder: Where a cache would lie.
        keep: List of the images that are worth keeping, which then are what
            is trained on.
    """
    paths = report.kept() if keep else report.paths
    samples = len(paths) * samples_of_an_image(cfg)
    plan = TrainingPlan(recipe, samples=samples)
    planned = cfg.train_dataloader.batch_size
    fitting = min(fitting_batch(samples, planned), samples)
    cfg.train_dataloader.batch_size = fitting
    if (batch := cfg.train_dataloader.batch_size) != planned:
        plan.words += ['--batch-size', str(batch)]
    plan.batch = step_images(cfg)
    if 'auto_epochs' in cfg:
        plan.epochs = auto_epochs(cfg, samples)
        plan.words += ['--epochs', 'auto']
    else:
        plan.epochs = cfg.train_cfg.max_epochs
    plan.queue = _fit_queues(cfg, plan)
    plan.advice = [
        *_steps_advice(cfg, plan),
        *_images_advice(report, keep),
        *_views_advice(cfg, report),
        *_cache_advice(cfg, report, folder),
    ]
    return plan


def plan_text(plan: TrainingPlan) -> str:
    """What a plan says, in lines."""
    steps_of_epoch = max(1, plan.samples // plan.batch)
    seen = plan.steps * plan.batch
    lines = [
        f'{"recipe":11} {plan.recipe}',
        f'{"epochs":11} {plan.epochs} of {counted(steps_of_epoch, "step")}: '
        f'{counted(plan.steps, "step")}, {seen:,} samples',
        f'{"batch":11} {plan.batch} images',
    ]
    if plan.queue is not None:
        lines.append(
            f'{"queue":11} {plan.queue:,} keys; an epoch has '
            f'{plan.samples:,} samples'
        )
    return '\n'.join([*lines, *map(_wrapped, plan.advice)])


def _wrapped(sentence: str) -> str:
    return textwrap.fill(
        f'- {sentence}',
        width=79,
        subsequent_indent='  ',
        break_long_words=False,
        break_on_hyphens=False,
    )


def fitting_batch(samples: int, batch: int) -> int:
    """The batch, halved until an epoch has four steps; eight at least.

    >>> fitting_batch(5000, 64), fitting_batch(100, 64), fitting_batch(9, 64)
    (64, 16, 8)
    """
    while batch > _LEAST_BATCH and samples < _STEPS_OF_EPOCH * batch:
        batch //= 2
    return batch


def _fit_queues(cfg: Config, plan: TrainingPlan) -> int | None:
    """Shorten queues that would hold a sample twice; length of the first."""
    lengths, words = [], []
    for option, length, factors in [*queues(cfg)]:
        keys = prod(factors.values())
        epoch = plan.samples * factors.get('places', 1)
        if length > epoch and (fitting := fitting_length(epoch, keys)):
            length = fitting
            cfg.merge_from_dict({option: length})
            words.append(f'{option}={length}')
        lengths.append(length)
    if words:
        plan.words += ['--cfg-options', *words]
    return lengths[0] if lengths else None


def _steps_advice(cfg: Config, plan: TrainingPlan) -> list[str]:
    lines = []
    wanted = cfg.get('auto_epochs', {}).get('steps')
    if wanted is None:
        lines.append(
            'This recipe does not say how many steps it needs, so that its '
            'epochs are kept: with few images they may be too few.'
        )
    elif plan.epochs == MOST and plan.steps < wanted:
        lines.append(
            f'This recipe asks for {wanted:,} steps. {plan.steps:,} is what '
            f'{MOST} epochs give, and no published recipe has more epochs.'
        )
    if plan.samples < FEW:
        lines.append(
            f'{plan.samples} samples are few: a gain may be too small to '
            'see. sce compare measures it, with ImageNet weights as one more '
            'start.'
        )
    return lines


def _images_advice(report: ImageReport, keep: Path | None) -> list[str]:
    lines = []
    count = len(report.paths)
    if report.spare or report.tiny or report.unreadable:
        where = f'{keep} lists them'
        if keep is None:
            where = '--keep FILE.json lists them, for sce train --data'
        lines.append(
            f'{len(report.kept()):,} images are left without the unreadable '
            f'and tiny ones and the copies: {where}. Two copies would be each '
            "other's negatives, though they show the same."
        )
    if inspection.FLAT in report.kinds:
        lines.append(
            f'{counted(len(report.kinds[inspection.FLAT]), "image")} of more '
            'than 8 bits would be black or flat: give LoadImage one range of '
            'levels, such as stretch=(0, 4095) for 12 bits.'
        )
    if 2 * len(report.kinds.get(inspection.GREY, [])) > count:
        lines.append(
            'Most images have no colour: changes of saturation and hue do '
            'nothing to them; crops, brightness, contrast and blur do.'
        )
    return lines


def _views_advice(cfg: Config, report: ImageReport) -> list[str]:
    view = image_side(cfg)
    views = sum(len(t['views']) for _, t in view_transforms(cfg))
    lines = []
    short = median(min(size) for size in report.sizes)
    if cuts_regions(cfg):
        lines.append(f'Each region gives {views} views of {view} px.')
    elif short < view:
        side = max(32, int(short) // 32 * 32)
        key = next(key for key, _ in view_transforms(cfg))
        key = key.replace('[', '.').replace(']', '')
        words = ' '.join(f'{key}.views.{n}.size={side}' for n in range(views))
        lines.append(
            f'Half of the images have a side of {short:.0f} px or less, which '
            f'the views of {view} px enlarge: --cfg-options {words}'
        )
    else:
        lines.append(f'Each image gives {views} views of {view} px.')
        if short >= 2 * _REGION:
            each = median(
                regions_of(*size, (_REGION, _REGION)) for size in report.sizes
            )
            lines.append(
                'If an image shows many objects, as in detection, '
                f'--regions {_REGION} takes {each:.0f} regions of it '
                'instead; a region should show about one object.'
            )
    return lines


def _cache_advice(cfg: Config, report: ImageReport, folder: Path) -> list[str]:
    time = round(1000 * report.seconds) or 'less than 1'
    each = f'Decoding an image takes {time} ms'
    if report.seconds < _SLOW_DECODING:
        return [f'{each}: no cache is needed.']
    pixels, options = float(report.pixels), '--full-size'
    if not cuts_regions(cfg):
        short = round(_CACHED * image_side(cfg))
        pixels = sum(
            prod(size) * min(1, short / min(size)) ** 2
            for size in report.sizes
        )
        options = f'--short-side {short}'
    needed = _BYTES * pixels
    size = f'{needed / 1e9:.2g} GB'
    if needed > _SHARE * shutil.disk_usage(folder).free:
        return [
            f'{each}, and a cache of {size} would take more than half of the '
            'free disk.'
        ]
    return [
        f'{each}, more than making its views: sce cache DIR CACHE {options} '
        f'keeps the pixels, {size}, for sce train --cache CACHE.'
    ]
