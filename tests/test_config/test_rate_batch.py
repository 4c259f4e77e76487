"""A rate that somebody has scaled by hand is not scaled again."""

import argparse

import pytest
from mmengine.config import Config

from sce_mm.cli.epochs_and_batch import set_batch_size
from sce_mm.cli.learning_rate import set_rate_batch
from sce_mm.config.rate_batch import batch_of_rate
from sce_mm.config.reading import read_config
from sce_mm.utils.recipes import stock_folder

BASE = """
auto_scale_lr = dict(base_batch_size=16)
train_dataloader = dict(batch_size=2)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.02))
"""
ADAM = "optimizer=dict(type='AdamW', lr=0.02)"


@pytest.fixture
def write(tmp_path):
    """``write(text, base)``: path of a config that inherits another."""

    def call(text, base=BASE):
        (tmp_path / 'recipe.py').write_text(base)
        path = tmp_path / 'mine.py'
        path.write_text(f"_base_ = 'recipe.py'\n{text}\n")
        return str(path)

    return call


def lr(rate, rest=''):
    return f'optim_wrapper = dict(optimizer=dict(lr={rate}){rest})\n'


@pytest.mark.parametrize(
    ('text', 'processes', 'images', 'doubtful'),
    [
        # That of the recipe, whatever the batch is.
        ('', 1, None, False),
        ('train_dataloader = dict(batch_size=4)', 1, None, False),
        # By hand: for one process, for four, with accumulation.
        (lr(0.0025), 1, 2, False),
        (lr(0.01), 4, 8, False),
        (lr(0.01, ', accumulative_counts=4'), 1, 8, False),
        (lr(0.005) + 'train_dataloader = dict(batch_size=4)', 1, 4, False),
        # It may be for any batch.
        (lr(0.0025), 4, None, True),
        (lr(0.03), 1, None, True),
        # And here the config says it.
        (lr(0.0025) + 'auto_scale_lr = dict(base_batch_size=4)', 1, None, 0),
    ],
)
def test_a_rate_that_follows_the_batch_was_scaled(
    write, text, processes, images, doubtful
):
    path = write(text)
    found = batch_of_rate(path, Config.fromfile(path), processes)
    assert (found.images, found.doubtful) == (images, doubtful)


@pytest.mark.parametrize('rate', [0.0025, 0.0071])
def test_adam_is_scaled_by_either_law(write, rate):
    base = BASE.replace("optimizer=dict(type='SGD', lr=0.02)", ADAM)
    path = write(lr(rate), base)
    assert batch_of_rate(path, Config.fromfile(path)).images == 2
    # Rates of two optimisers have nothing to do with each other.
    path = write(lr(rate).replace('lr=', "type='SGD', lr="), base)
    assert batch_of_rate(path, Config.fromfile(path)).doubtful


def test_a_rate_may_be_for_the_batch_that_is_asked_for(write):
    path = write(lr(0.01))
    cfg = Config.fromfile(path)
    assert batch_of_rate(path, cfg, 2, batch=4).images == 8
    assert batch_of_rate(path, cfg, 2).doubtful


def test_what_is_inherited_of_a_scaled_rate_is_too(write, tmp_path):
    write(lr(0.0025))
    path = tmp_path / 'third.py'
    path.write_text("_base_ = 'mine.py'\nmodel = dict()\n")
    assert batch_of_rate(str(path), Config.fromfile(path)).images == 2


def options(*words, batch=None, scale=False):
    return argparse.Namespace(
        cfg_options=list(words),
        batch_size=batch,
        auto_scale_lr=scale,
        resume=None,
        continue_for=None,
    )


@pytest.mark.parametrize('batch', [16, 32])
def test_a_training_scales_from_the_batch_of_the_hand(tmp_path, batch):
    recipe = 'sce_mm::sce/sce_resnet18_1xb64-coslr-200e_folder.py'
    rate = read_config(recipe).optim_wrapper.optimizer.lr
    path = tmp_path / 'mine.py'
    text = f'_base_ = {recipe!r}\n{lr(rate / 4)}'
    path.write_text(f'{text}train_dataloader = dict(batch_size=16)\n')
    cfg = read_config(path)
    (said,) = set_rate_batch(cfg, options(batch=batch))
    assert '64 -> 16' in said
    assert 'scaled by hand' in said
    set_batch_size(cfg, batch)
    assert cfg.auto_scale_lr == dict(base_batch_size=16, enable=True)


def test_a_typed_rate_counts_like_one_of_a_file(write):
    cfg = Config.fromfile(write(''))
    cfg.optim_wrapper.optimizer.lr = 0.0025
    assert '16 -> 2' in set_rate_batch(cfg, options())[0]
    cfg = Config.fromfile(write(''))
    cfg.optim_wrapper.optimizer.lr = 0.005
    assert '16 -> 4' in set_rate_batch(cfg, options(batch=4))[0]
    cfg.auto_scale_lr.base_batch_size = 16
    words = options('auto_scale_lr.base_batch_size=16', batch=4)
    assert set_rate_batch(cfg, words) == []


@pytest.mark.parametrize(
    ('words', 'given', 'told'),
    [
        ([], {}, False),
        ([], {'scale': True}, True),
        ([], {'batch': 4}, True),
        # Nothing is scaled.
        (['optim_wrapper.optimizer.lr=0.03'], {'batch': 4}, False),
        ([], {'batch': 16}, False),
        (['auto_scale_lr.base_batch_size=4'], {'batch': 4}, False),
    ],
)
def test_what_stops_the_scaling_of_a_rate_is_said(write, words, given, told):
    cfg = Config.fromfile(write(lr(0.03)))
    said = set_rate_batch(cfg, options(*words, **given))
    assert len(said) == told
    step = given.get('batch') or 2
    option = f'--cfg-options auto_scale_lr.base_batch_size={step}'
    assert all('0.03' in line and option in line for line in said)
    assert cfg.auto_scale_lr.base_batch_size == 16


def test_a_config_of_a_package_is_known_by_its_path_too(tmp_path):
    path = stock_folder('mmpretrain') / 'resnet' / 'resnet18_8xb32_in1k.py'
    cfg = Config.fromfile(path)
    expected = batch_of_rate('mmpretrain::resnet/resnet18_8xb32_in1k.py', cfg)
    assert batch_of_rate(str(path), cfg) == expected
    mine = tmp_path / 'mine.py'
    mine.write_text("_base_ = 'mmpretrain::resnet/resnet18_8xb32_in1k.py'")
    assert batch_of_rate(str(mine), cfg) == expected
