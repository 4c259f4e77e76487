"""Show which regions are alike, before and after a pretraining."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS, TRANSFORMS
from torch import Tensor

from ..checkpoints.reading import read_checkpoint
from ..config.parts import image_side, innermost_dataset
from ..datasets.samplers import SampleIndex
from ..evaluation.features import image_features
from ..evaluation.images import FolderImages
from ..transfer import extract_backbone, load_backbone
from ..visualization import page
from ..visualization.sheets import neighbour_sheet, neighbours_within
from .facts import Facts
from .results import Results, pretraining_config

if TYPE_CHECKING:
    from .comparison import Comparison

REGIONS = 240
# Regions of one image: more would find each other.
PER_IMAGE = 4
QUERIES = 6
SHOWN = 5
# Pixels of the page.
_SIDE = 62


def region_neighbours(
    comparison: 'Comparison', results: Results, facts: Facts
) -> list[str]:
    """Regions of unlabelled images beside those that a backbone finds alike.

    Left stands the untrained backbone, right the pretrained one, with the
    same regions. They come from the pipeline of the pretraining; where it
    cuts none out, they are the centres of the images.
    """
    cfg = pretraining_config(comparison.out, results, facts.source)
    if cfg is None:
        return [
            page.paragraph(
                f'The config of the pretraining of {facts.source} is not in '
                'this folder, so there are no neighbours.'
            )
        ]
    regions, owners = cut_regions(cfg, comparison.unlabelled.paths)
    shown = min(SHOWN, len(regions) - 1)
    if shown < 1:
        return []
    trained = results[facts.source][facts.percent][0]['backbone']
    files = {
        'Before pretraining': comparison.out / 'backbones' / 'initial.pth',
        'After pretraining': trained,
    }

    def picture(index: int) -> np.ndarray:
        side = min(2 * _SIDE, len(regions[index]))
        return cv2.resize(
            regions[index], (side, side), interpolation=cv2.INTER_AREA
        )

    order = np.random.default_rng(0).permutation(len(regions))
    queries = order[:QUERIES].tolist()
    samples = [
        {'inputs': torch.from_numpy(x.transpose(2, 0, 1).copy())}
        for x in regions
    ]
    images = FolderImages(samples, [], [], [])
    sheets = []
    for name, file in files.items():
        features = backbone_features(cfg, file, samples)
        title = name
        if len(set(owners)) < len(owners):
            share = share_of_own_image(features, owners, shown)
            title += (
                f': {100 * share:.0f} % of the {shown} nearest neighbours '
                'come from the same image as the query (fewer is better)'
            )
        sheets.append(
            neighbour_sheet(
                title, images, features, queries, shown,
                picture=picture, side=_SIDE,
            )
        )  # fmt: skip
    what = 'regions' if facts.regions else 'centres of images'
    return [
        page.heading(
            'What looks alike to the backbone',
            f'Some of {len(regions)} {what}, each with those among the others '
            'that are most similar to it, by cosine similarity (1 is equal). '
            'A useful pretraining brings the same kind of object together, '
            'wherever it is and whatever the light; neighbours from the same '
            'image are often alike only in light and background. '
            'Similarities of two networks cannot be compared.',
        ),
        page.side_by_side(sheets),
    ]


def cut_regions(
    cfg: Config, paths: list[str]
) -> tuple[list[np.ndarray], list[int]]:
    """Regions of some images, as large as the views of the pretraining.

    Returns:
        Images ``[side, side, 3]`` uint8, and the index of the image that each
        comes from. The draw depends on nothing but the images and the config.
    """
    pipeline = innermost_dataset(cfg)[1].pipeline
    names = [transform['type'] for transform in pipeline]
    end = next(
        i
        for i, name in enumerate([*names, 'PackInputs'])
        if name in ('SCEViews', 'PackInputs')
    )
    side = image_side(cfg)
    resize = dict(type='ResizeEdge', scale=side, edge='short')
    crop = dict(type='CenterCrop', crop_size=side)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        transforms = [
            TRANSFORMS.build(dict(step))
            for step in [*pipeline[:end], resize, crop]
        ]
    each = PER_IMAGE if 'CutRegion' in names else 1
    count = min(len(paths), REGIONS // each)
    chosen = np.random.default_rng(0).permutation(len(paths))[:count]
    regions, owners = [], []
    for index in sorted(chosen.tolist()):
        for repetition in range(each):
            place = SampleIndex(index, 0, 0, repetition=repetition)
            sample: Any = {'img_path': paths[index], 'sample_idx': place}
            for transform in transforms:
                # None is an image that cannot be read.
                sample = sample and transform(sample)
            if sample:
                regions.append(sample['img'])
                owners.append(index)
    return regions, owners


def backbone_features(
    cfg: Config, file: Path | str, samples: list[dict[str, Any]]
) -> Tensor:
    """Features ``[N, D]`` of samples, by the backbone of a file."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model: Any = MODELS.build(cfg.model)
    load_backbone(model.backbone, extract_backbone(read_checkpoint(file)))
    return image_features(model, samples, workers=0)


def share_of_own_image(
    features: Tensor, owners: list[int], shown: int
) -> float:
    """Share of nearest neighbours that come from the image of the query."""
    indices, _ = neighbours_within(features, range(len(features)), shown)
    of = torch.tensor(owners)
    return float((of[indices] == of[:, None]).double().mean())
