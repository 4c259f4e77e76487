"""Show what segmentors predict in validation images, beside the labels."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS
from numpy.typing import NDArray

from ...datasets.labels.mask_labels import MaskFolders
from ...visualization import page
from ...visualization.label_maps import LEGEND, colour_legend, map_row
from ...visualization.sheets import read_image

IMAGES = 5


def segmentation_examples(
    models: Iterable[tuple[str, Any]],
    pixels: dict[str, NDArray[np.int64]],
    folders: MaskFolders,
    classes: Sequence[str],
) -> tuple[str, str, list[str]]:
    """Rows of validation images: labels, and what each segmentor predicts.

    See :meth:`Task.examples`.

    Args:
        models: Starts with a trained segmentor.
        pixels: Pixels of each class in the labels, by the name of the image.
        folders: Where images and labels lie.
        classes: Their names.
    """
    names = choose_examples(pixels)
    paths = [str(folders.images / f'{n}{folders.img_suffix}') for n in names]
    found = {name: predict(model, paths) for name, model in models}
    truth, *_ = found.values()
    side = page.tile_side(2 + len(found))
    rows = [
        map_row(
            read_image(path),
            truth[number][0],
            {start: maps[number][1] for start, maps in found.items()},
            side,
            len(classes),
        )
        for number, path in enumerate(paths)
    ]
    rows.insert(0, colour_legend(classes))
    return 'What the segmentors predict', LEGEND, rows


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
