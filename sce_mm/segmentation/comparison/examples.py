"""Show what segmentors predict in validation images, beside the labels."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS, MODELS
from numpy.typing import NDArray

from ...checkpoints.reading import read_checkpoint
from ...comparison.results import RANDOM, Results, without_checkpoint
from ...comparison.summary import Facts, shown_starts
from ...config.reading import override
from ...visualization import page
from ...visualization.label_maps import LEGEND, colour_legend, map_row
from ...visualization.sheets import read_image

if TYPE_CHECKING:
    from ...comparison import Comparison
    from .task import Segmentation

IMAGES = 5
# Pixels of the page along a row.
_ROW = 980


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
            comparison.config(name), task.options, run['checkpoint'], paths
        )
        for name, run in runs.items()
    }
    side = _ROW // (2 + len(starts)) - 12
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
            f'Validation images, drawn by lot, and the segmentors of '
            f'{facts.percent:g} % of the labels and seed '
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
    config: Path, options: Sequence[str], checkpoint: str, paths: Sequence[str]
) -> list[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Labels and predictions of images, on the CPU, one at a time.

    The images go the way of the evaluation. ``inference_model`` of mmseg goes
    that of the variable ``test_pipeline`` of the config, if there is one,
    which need not be the same.

    Args:
        config: Of a segmentor on the labels of the comparison.
        options: Overrides of its training.
        checkpoint: Its weights.
        paths: Validation images.

    Returns:
        Of each image two maps ``[h, w]`` of classes, 255 where none counts.
    """
    cfg = Config.fromfile(config)
    override(cfg, options, '--segmentor-options')
    cfg.model.backbone.pop('init_cfg', None)
    with DefaultScope.overwrite_default_scope('mmseg'), torch.no_grad():
        model: Any = MODELS.build(cfg.model).eval()
        model.load_state_dict(read_checkpoint(checkpoint)['state_dict'])
        dataset: Any = DATASETS.build(cfg.val_dataloader.dataset)
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
