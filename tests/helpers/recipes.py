"""The configs of pretraining, as several test files need them."""

import ast
import re
from copy import deepcopy
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmpretrain.registry import MODELS
from torch import nn

import sce_mm

CONFIGS = Path(sce_mm.__file__).parents[1] / 'configs'
FILES = sorted(
    p.relative_to(CONFIGS).as_posix()
    for p in CONFIGS.rglob('*.py')
    if '_base_' not in p.parts
    # Those of detectors and segmentors: tests/test_detection and
    # tests/test_segmentation.
    and not {'mmdet', 'mmseg'} & set(p.parts)
    and not re.match(r'.*(rcnn|upernet)', p.name)
    # Their pyramids are classes of mmdet.
    and (find_spec('mmdet') or '-pyramid-' not in p.name)
)
PRETRAINING = [f for f in FILES if Path(f).parent.name in ('sce', 'demo')]
RECIPES = [f for f in PRETRAINING if f.startswith('sce/')]
# Overrides of the laptop recipe for a handful of images, in this process.
TINY_FOLDER = (
    'train_dataloader.batch_size=4',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'train_dataloader.dataset.pipeline.1.views.0.size=32',
    'train_dataloader.dataset.pipeline.1.views.1.size=32',
    'model.queue.length=16',
    'model.backbone.base_channels=8',
    'model.backbone.stem_channels=8',
    'model.neck.in_channels=64',
)
# Those of a comparison, whose recipe is that for a laptop.
TINY_COMPARISON = (
    '--pretraining-options',
    'model.backbone.base_channels=16',
    'model.backbone.stem_channels=16',
    'model.neck.in_channels=128',
    'model.queue.length=16',
    'train_dataloader.batch_size=4',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'train_cfg.max_epochs=1',
    'param_scheduler.warmup_epochs=0',
)


def load(name: str) -> Config:
    """A config, the caller's own; each file is read once."""
    return deepcopy(_read(name))


@cache
def _read(name: str) -> Config:
    return Config.fromfile(CONFIGS / name)


def recipe(stem: str) -> Config:
    """The recipe of this name under ``configs/sce``."""
    return load(f'sce/{stem}.py')


def build_model(stem: str) -> nn.Module:
    """The model of a recipe at full size, without memory for its numbers."""
    return _build(repr(recipe(stem).model.to_dict()))


@cache
def _build(model: str) -> nn.Module:
    # Several recipes have the same model. It cannot be made on the meta
    # device: mmpretrain reads numbers from tensors.
    return MODELS.build(ast.literal_eval(model)).to('meta')


def header(name: str) -> str:
    """What a config says of itself before its first line of code."""
    return (CONFIGS / name).read_text().split('"""')[1]


def table_row(stem: str) -> dict[str, str]:
    """What the table of recipes says of one, by column."""
    lines = (CONFIGS / 'sce' / 'README.md').read_text().splitlines()
    (row,) = [line for line in lines if f'| [{stem}]({stem}.py) |' in line]
    (head,) = [line for line in lines if line.startswith('| recipe |')]
    cells = ([c.strip() for c in x.split('|')[1:-1]] for x in (head, row))
    return dict(zip(*cells, strict=True))


def processes_and_batch(name: str) -> tuple[int, int]:
    """``8xb512`` in a name: processes, and images on each."""
    found = re.search(r'_(\d+)xb(\d+)-', Path(name).stem)
    assert found, f'{name}: no batch size'
    return int(found[1]), int(found[2])


def views(cfg: Config) -> list[dict[str, Any]]:
    """The views that a config makes of each image."""
    pipeline = cfg.train_dataloader.dataset.pipeline
    (transform,) = [t for t in pipeline if t.type == 'SCEViews']
    return transform.views
