"""Show what segmentors predict in validation images, beside the labels."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS
from numpy.typing import NDArray

from ...comparison.results import RANDOM, Results, without_checkpoint
from ...comparison.summary import Facts, shown_starts
from ...visualization import page
from ...visualization.label_maps import LEGEND, colour_legend, map_row
from ...visualization.sheets import read_image

if TYPE_CHECKING:
    from ...comparison import Comparison
    from .task import Segmentation

IMAGES = 5


def segmentation_examples(
    task: Segmentation, comparison: Comparison, results: Results, facts: Facts
) -> list[str]:
    """Rows of validation images: labels, and what each segmentor predicts.

    The segmentors are those of the smallest part of the labels and the first
    seed, from random initialisation, from the pretraining, and from the best
    of the other starts.
    """
    starts = shown_starts(facts)
    runs = {name: results[name][facts.percent][0] for name in starts}
    if gone := without_checkpoint(runs):
        return [
            page.paragraph(
                f'The checkpoints from {", ".join(gone)} are not there any '
                'more, so there are no examples of predictions.'
            )
        ]
    folders = task.folders['val']
    names = choose_examples(task.pixels['val'])
    paths = [str(folders.images / f'{n}{folders.img_suffix}') for n in names]
    found = {
        name: predict(
            task.trained(comparison.config(name), run['checkpoint']), paths
        )
        for name, run in runs.items()
    }
    side = page.tile_side(2 + len(starts))
    rows = [
        map_row(
            read_image(path),
            found[RANDOM][number][0],
            {start: found[start][number][1] for start in starts},
            side,
            len(task.classes),
        )
        for number, path in enumerate(paths)
    ]
    return [
        page.heading(
            'What the segmentors predict',
            f'Validation images drawn at random, and the segmentors trained '
            f'with {facts.percent:g} % of the labels and seed '
            f'{runs[RANDOM]["seed"]}. {LEGEND}',
        ),
        page.panel([colour_legend(task.classes), *rows]),
    ]


def choose_examples(pixels: dict[str, NDArray[np.int64]]) -> list[str]:
    """Names of images drawn by lot; those of several classes come first."""
    names = sorted(pixels)
    random.Random(0).shuffle(names)
    names.sort(key=lambda name: np.count_nonzero(pixels[name]) < 2)
    return names[:IMAGES]


def predict(
    model: Any, paths: Sequence[str]
) -> list[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Labels and predictions of images, one at a time.

    The images go the way of the evaluation. ``inference_model`` of mmseg goes
    that of the variable ``test_pipeline`` of the config, if there is one,
    which need not be the same.

    Args:
        model: A segmentor with its config.
        paths: Validation images.

    Returns:
        Of each image two maps ``[h, w]`` of classes, 255 where none counts.
    """
    with DefaultScope.overwrite_default_scope('mmseg'), torch.no_grad():
        dataset: Any = DATASETS.build(model.cfg.val_dataloader.dataset)
        places = {
            dataset.get_data_info(index)['img_path']: index
            for index in range(len(dataset))
        }
        samples = [
            model.test_step(pseudo_collate([dataset[places[path]]]))[0]
            for path in paths
        ]
    return [
        (
            sample.gt_sem_seg.data.squeeze(0).numpy(),
            sample.pred_sem_seg.data.squeeze(0).numpy(),
        )
        for sample in samples
    ]
