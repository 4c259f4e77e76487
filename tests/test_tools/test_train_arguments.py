"""What the options of tools/train.py write into a config."""

import importlib.util
import sys

import pytest
from image_files import write_noise
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from torch import nn

from sce_mm.evaluation.loaders import build_labelled_loaders

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


def test_knn_on_two_folders_is_one_option(applied, tmp_path):
    for part, classes in (('bank', 'abc'), ('query', 'bc')):
        for name in classes:
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            write_noise(folder, 10)
    words = ('--knn', str(tmp_path / 'bank'), str(tmp_path / 'query'))

    (hook,) = (
        hook
        for hook in applied(RECIPES[0], *words).custom_hooks
        if hook.type == 'OnlineKNNHook'
    )

    bank, query = build_labelled_loaders(hook.bank, hook.query, 0)
    assert hook.k == 15
    assert bank.dataset.CLASSES == query.dataset.CLASSES == tuple('abc')
    side = applied(RECIPES[0]).train_dataloader.dataset.pipeline[1].views[0]
    assert query.dataset[0]['inputs'].shape == (3, side['size'], side['size'])
    without = applied(RECIPES[0], *words, '--no-validate').custom_hooks
    assert 'OnlineKNNHook' not in [hook.type for hook in without]
    with pytest.raises(FileNotFoundError, match='nowhere'):
        applied(RECIPES[0], '--knn', 'nowhere', words[1])
    linear = 'resnet18_sce-pre_1xb256-linear-steplr-100e_cifar10'
    with pytest.raises(ValueError, match='--knn is for pretraining'):
        applied(f'benchmarks/{linear}', *words)
