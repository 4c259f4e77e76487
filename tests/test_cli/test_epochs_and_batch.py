"""What --epochs and --batch-size change, and what follows."""

from argparse import Namespace

import pytest
from image_files import write_noise
from mmengine.config import Config

from sce_mm.cli.epochs_and_batch import (
    apply_epochs,
    fit_queues,
    set_batch_size,
    set_epochs,
    smaller_batch,
)
from sce_mm.config import read_config
from sce_mm.config.check import check_config
from sce_mm.engine.schedulers.schedules import build_schedule
from sce_mm.utils.errors import UserError

FOLDER = 'sce_resnet18_1xb64-coslr-200e_folder'
DENSE = 'sce_resnet18_1xb64-dense-coslr-200e_folder'


@pytest.mark.parametrize('epochs', [50, 200, 1000])
def test_what_goes_by_epochs_follows(epochs):
    cfg = read_config(FOLDER)
    cfg.default_hooks.checkpoint.interval = 10
    said = set_epochs(cfg, epochs)
    assert cfg.train_cfg.max_epochs == epochs
    assert cfg.param_scheduler.warmup_epochs == pytest.approx(epochs / 40)
    assert cfg.default_hooks.checkpoint.interval == max(1, round(epochs / 20))
    assert said.startswith(f'--epochs {epochs}: ')
    assert ('warmup_epochs 5 -> ' in said) == (epochs != 200)
    check_config(cfg, training=False)


def test_epochs_follow_the_images_and_the_batch(tmp_path):
    write_noise(tmp_path, 20)
    cfg = read_config(FOLDER)
    cfg.train_dataloader.dataset.data_root = str(tmp_path)
    # 125 steps of 64 images are 2000 of 4, of which an epoch has five.
    cfg.auto_epochs.steps = 125
    args = Namespace(epochs='auto', continue_for=None, cfg_options=[])
    set_batch_size(cfg, 4)
    said = apply_epochs(cfg, args)
    assert cfg.train_cfg.max_epochs == 400
    assert cfg.param_scheduler.warmup_epochs == 10
    assert '--epochs auto: 400, of 20 samples in steps of 4' in said


def test_milestones_follow():
    cfg = read_config('resnet18_sce-pre_1xb256-linear-steplr-100e_cifar10')
    set_epochs(cfg, 50)
    assert cfg.param_scheduler.milestones == [30, 40]
    # As mmdet has it: the warm-up goes by iterations.
    warmup = dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=500)
    steps = dict(type='MultiStepLR', milestones=[8, 11], begin=0, end=12)
    cfg = Config(
        dict(param_scheduler=[warmup, steps], train_cfg=dict(max_epochs=12))
    )
    set_epochs(cfg, 36)
    assert cfg.param_scheduler[0].end == 500
    assert cfg.param_scheduler[1].milestones == [24, 33]
    assert cfg.param_scheduler[1].end == 36


def test_hooks_follow():
    cfg = read_config(FOLDER)
    phases = [
        dict(kind='linear', start=1.0, end=0.5, epochs=10),
        dict(kind='linear', start=0.5, end=0.6, steps=100),
        dict(kind='constant', value=0.6),
    ]
    momentum = dict(kind='cosine', start=0.01, end=0.0, epochs=200)
    cfg.default_hooks.momentum_update.momentum = momentum
    cfg.default_hooks.online_knn = dict(type='OnlineKNNHook', interval=20)
    value = dict(type='ScheduledValueHook', attribute='x', schedule=phases)
    cfg.custom_hooks = [value]
    said = set_epochs(cfg, 5)
    assert 'online_knn.interval 20 -> 1' in said
    hooks = cfg.default_hooks
    assert hooks.online_knn.interval == 1
    assert hooks.momentum_update.momentum.epochs == 5
    first, second, _ = cfg.custom_hooks[0].schedule
    assert (first.epochs, second.steps) == (0.25, 2)
    # Whatever an epoch has, phases of the whole run fit into it.
    for steps in range(1, 60):
        whole = [dict(kind='constant', value=1, epochs=n / 8) for n in (3, 5)]
        for part in (whole, cfg.custom_hooks[0].schedule):
            schedule = build_schedule(part, 5 * steps, steps)
            assert 0.5 <= schedule(5 * steps - 1) <= 1
        build_schedule(whole, steps, steps)


@pytest.mark.parametrize('recipe', [FOLDER, DENSE])
@pytest.mark.parametrize('batch', [2, 48, 64, 512])
def test_queue_and_rate_follow_the_batch(recipe, batch):
    cfg = read_config(recipe)
    before = cfg.model.queue.length
    set_batch_size(cfg, batch)
    fit_queues(cfg, batch)
    step = batch * cfg.model.get('num_target_views', 2)
    length = cfg.model.queue.length
    assert cfg.train_dataloader.batch_size == batch
    assert length >= max(before, 8 * step)
    assert length < max(before, 8 * step) + step
    assert length % step == 0
    assert cfg.auto_scale_lr == dict(base_batch_size=64, enable=True)
    check_config(cfg, training=False)


@pytest.mark.parametrize(
    ('images', 'batch', 'before', 'length'),
    [(20, 4, 4, 20), (20, 4, 24, 24), (20, 4, 22, 24), (20, 32, 8, 32)],
)
def test_a_queue_grows_to_no_more_keys_than_there_are_images(
    tmp_path, images, batch, before, length
):
    write_noise(tmp_path, images)
    cfg = read_config(FOLDER)
    cfg.train_dataloader.dataset.data_root = str(tmp_path)
    cfg.model.queue.length = before
    set_batch_size(cfg, batch)
    (said,) = fit_queues(cfg, batch)
    assert cfg.model.queue.length == length
    steps = length // batch
    noun = 'step' if steps == 1 else 'steps'
    assert said.endswith(f'queue.length={length} is {steps} {noun} of keys')


def test_what_is_given_besides_stays():
    words = ['model.queue.length=1000', 'optim_wrapper.optimizer.lr=0.1']
    cfg = read_config(FOLDER)
    cfg.model.queue.length = 1000
    said = set_batch_size(cfg, 32, words)
    fit_queues(cfg, 32, words)
    assert cfg.model.queue.length == 1000
    assert not cfg.auto_scale_lr.get('enable')
    assert 'as given' in said
    cfg.param_scheduler.warmup_epochs = 3
    set_epochs(cfg, 20, ['param_scheduler.warmup_epochs=3'])
    assert cfg.param_scheduler.warmup_epochs == 3


@pytest.mark.parametrize(
    ('change', 'cfg', 'words', 'message'),
    [
        (set_epochs, dict(max_iters=9), [], '--epochs is for a config with'),
        (
            set_epochs,
            dict(max_epochs=9),
            ['train_cfg.max_epochs=3'],
            '--epochs and --cfg-options train_cfg.max_epochs set the same',
        ),
        (set_batch_size, {}, [], '--batch-size: .*base_batch_size'),
    ],
)
def test_mistakes(change, cfg, words, message):
    loader = dict(batch_size=2)
    cfg = Config(dict(train_cfg=cfg, train_dataloader=loader, model={}))
    with pytest.raises(UserError, match=message):
        change(cfg, 4, words)


def test_a_batch_is_advised_by_an_option_that_the_config_takes():
    cfg, args = read_config(FOLDER), Namespace(cfg_options=[])
    assert smaller_batch(cfg, args) == '--batch-size {batch}'
    typed = Namespace(cfg_options=['train_dataloader.batch_size=9'])
    assert smaller_batch(cfg, typed).startswith('--cfg-options')
    # --batch-size would not know what the learning rate is for.
    cfg.pop('auto_scale_lr')
    assert smaller_batch(cfg, args).startswith('--cfg-options')
