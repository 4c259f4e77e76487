"""What the options of tools/train.py write into a config."""

import importlib.util
import sys

import pytest
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from torch import nn

RECIPES = [
    'sce_resnet18_1xb64-coslr-200e_folder',
    'sce_resnet50_1xb128-amp-coslr-200e_folder',
]


@pytest.fixture
def applied(root, monkeypatch):
    """``applied(recipe, *options)``: the config after the command line."""
    path = root / 'tools' / 'train.py'
    spec = importlib.util.spec_from_file_location('train_tool', path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)

    def apply(recipe, *options):
        config = root / 'configs' / 'sce' / f'{recipe}.py'
        monkeypatch.setattr(sys, 'argv', ['train.py', str(config), *options])
        cfg = Config.fromfile(config)
        tool.apply_arguments(cfg, tool.parse_args())
        return cfg

    return apply


@pytest.mark.parametrize('recipe', RECIPES)
def test_mixed_precision_in_either_format(applied, recipe):
    half = applied(recipe, '--amp').optim_wrapper
    assert (half.type, half.loss_scale) == ('AmpOptimWrapper', 'dynamic')
    brain = applied(recipe, '--amp', 'bfloat16').optim_wrapper
    wrapper = build_optim_wrapper(nn.Linear(2, 2), brain)
    assert type(wrapper).__name__ == 'BF16OptimWrapper'
    assert type(wrapper.optimizer).__name__ == brain.optimizer.type


def test_precision_is_the_recipes_own_unless_asked(applied):
    types = [applied(recipe).optim_wrapper.get('type') for recipe in RECIPES]
    assert types == [None, 'AmpOptimWrapper']


def test_views_on_the_device_are_one_option(applied):
    plain = applied(RECIPES[0])
    assert 'deferred' not in plain.train_dataloader.dataset.pipeline[1]
    cfg = applied(RECIPES[0], '--device-views')
    assert cfg.train_dataloader.dataset.pipeline[1].deferred is True
    assert cfg.train_dataloader.collate_fn.type == 'pseudo_collate'
    assert cfg.model.data_preprocessor.type == 'ViewPreprocessor'
    assert (
        cfg.model.data_preprocessor.mean == plain.model.data_preprocessor.mean
    )
