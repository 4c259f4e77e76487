"""Every config loads and builds, and its name says the truth."""

import re
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config
from mmpretrain.registry import MODELS, TRANSFORMS

import sce_mm
from sce_mm.config_check import check_config

CONFIGS = Path(sce_mm.__file__).parents[1] / 'configs'
FILES = sorted(
    p.relative_to(CONFIGS).as_posix()
    for p in CONFIGS.rglob('*.py')
    if '_base_' not in p.parts
    # Those of detectors need mmdet: tests/test_detection.
    and not p.name.startswith('mask-rcnn')
)
PRETRAINING = [
    f for f in FILES if Path(f).name.startswith('sce_') and 'bench' not in f
]


def load(name):
    return Config.fromfile(CONFIGS / name)


def dataset_views(cfg):
    pipeline = cfg.train_dataloader.dataset.pipeline
    (transform,) = [t for t in pipeline if t.type == 'SCEViews']
    return transform.views


def test_nothing_is_left_out():
    assert len(FILES) >= 4
    assert len({Path(f).name for f in FILES}) == len(FILES), 'names repeat'


@pytest.mark.parametrize('name', FILES)
def test_loads_and_names_nothing_unknown(name):
    check_config(load(name))
    header = (CONFIGS / name).read_text()
    assert header.startswith('"""'), 'a config opens with what it is for'


@pytest.mark.parametrize('name', PRETRAINING)
def test_pretraining_model_and_views_build(name):
    cfg = load(name)
    assert cfg.default_scope == 'mmpretrain'
    model = MODELS.build(cfg.model)
    assert model.queue is None or model.queue.features.shape == (
        cfg.model.queue.length,
        cfg.model.neck.out_channels,
    )
    hooks = [hook.type for hook in cfg.custom_hooks]
    assert hooks.count('MomentumUpdateHook') == 1
    assert hooks.count('TransferMetaHook') == 1
    dataset = cfg.train_dataloader.dataset
    for transform in dataset.pipeline:
        TRANSFORMS.build(transform)


@pytest.mark.parametrize(
    'name', [f for f in PRETRAINING if not f.startswith('demo/')]
)
def test_pretraining_name_is_a_contract(name):
    cfg, stem = load(name), Path(name).stem
    batch = re.search(r'_(\d+)xb(\d+)-', stem)
    processes, size = int(batch[1]), int(batch[2])
    assert cfg.train_dataloader.batch_size == size
    assert cfg.auto_scale_lr.base_batch_size == processes * size
    epochs = int(re.search(r'-(\d+)e_', stem)[1])
    assert cfg.train_cfg.max_epochs == epochs
    # The schedule takes its length from the run.
    assert cfg.param_scheduler.type == 'WarmupCosineLR'
    assert 'end' not in cfg.param_scheduler
    depth = int(re.search(r'resnet(\d+)', stem)[1])
    assert cfg.model.backbone.depth == depth
    amp = cfg.optim_wrapper.get('type') == 'AmpOptimWrapper'
    assert amp == ('-amp-' in stem)
    data = stem.rsplit('_', 1)[1]
    kinds = {
        'folder': 'UnlabelledImages',
        'in1k': 'ImageNet1k',
    }
    assert cfg.train_dataloader.dataset.type == kinds[data]
    views = dataset_views(cfg)
    assert len(views) == (6 if '-mcrop-' in stem else 2)
    # One step fits into the queue several times.
    keys = processes * size * cfg.model.num_target_views
    assert cfg.model.queue.length >= 4 * keys


def test_recipes_differ_in_what_the_specification_says():
    name = 'sce/sce_resnet50_8xb512-amp-coslr-{}e_in1k.py'
    optimizers = {
        epochs: load(name.format(epochs)).optim_wrapper.optimizer
        for epochs in (100, 200, 300, 1000)
    }
    assert {e: o.lr for e, o in optimizers.items()} == {
        100: 9.6,
        200: 4.8,
        300: 4.8,
        1000: 4.8,
    }
    assert {e: o.weight_decay for e, o in optimizers.items()} == {
        100: 1e-6,
        200: 1e-6,
        300: 1e-6,
        1000: 1.5e-6,
    }
    crops = load('sce/sce_resnet50_16xb256-amp-mcrop-coslr-200e_in1k.py')
    assert crops.model.neck.hid_channels == 4096
    sizes = [view['size'] for view in dataset_views(crops)]
    assert sizes == [224, 224, 192, 160, 128, 96]


def test_metafile_and_recipes_name_each_other():
    index = yaml.safe_load((CONFIGS.parent / 'model-index.yml').read_text())
    models = {}
    for path in index['Import']:
        file = yaml.safe_load((CONFIGS.parent / path).read_text())
        models |= {m['Name']: m for m in file['Models']}
    recipes = {Path(f).stem: f for f in PRETRAINING if f.startswith('sce/')}
    assert set(models) == set(recipes)
    for name, model in models.items():
        assert model['Config'] == f'configs/{recipes[name]}'
        cfg = load(recipes[name])
        assert model['Metadata']['Epochs'] == cfg.train_cfg.max_epochs
        batch = cfg.auto_scale_lr.base_batch_size
        assert model['Metadata']['Batch Size'] == batch
