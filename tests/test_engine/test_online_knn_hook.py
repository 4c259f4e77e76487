"""Online kNN: it sees the training and leaves it alone."""

import itertools
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from evaluation_toys import model_config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from sce_mm.engine.hooks.online_knn_hook import OnlineKNNHook

RUNNERS = itertools.count()


def loader_config(size: int = 30, **dataset: Any) -> dict:
    return dict(
        batch_size=8,
        num_workers=0,
        dataset=dict(type='ToyImages', size=size, **dataset),
    )


def hook_config(**options: Any) -> dict:
    defaults = dict(
        type='OnlineKNNHook',
        bank=loader_config(),
        query=loader_config(12, offset=500),
        k=(5, 1),
        interval=2,
    )
    return {**defaults, **options}


class Recorder(Hook):
    """Losses of all iterations."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def after_train_iter(self, runner, batch_idx, data_batch, outputs) -> None:
        self.losses.append(outputs['loss'].item())


def build_runner(
    work_dir: Path, *hooks: dict | Hook, epochs: int = 3, **options: Any
) -> Runner:
    return Runner(
        model=model_config(),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=8,
            sampler=dict(type='DefaultSampler', shuffle=True),
            collate_fn=dict(type='default_collate'),
            dataset=dict(type='ToyImages', size=16, views=2),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.05)),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook')),
        custom_hooks=[dict(type='MomentumUpdateHook'), *hooks],
        visualizer=dict(
            type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]
        ),
        randomness=dict(seed=1),
        default_scope='mmpretrain',
        # Runners of the same second must not share a name.
        experiment_name=f'online_knn_{next(RUNNERS)}',
        **options,
    )


def saved_scalars(runner: Runner) -> list[dict]:
    (path,) = Path(runner.log_dir).glob('vis_data/scalars.json')
    lines = map(json.loads, path.read_text().splitlines())
    return [line for line in lines if 'knn_top1_k5' in line]


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(interval=0), ValueError, 'positive number of epochs, got 0'),
        (dict(k=(5, 0)), ValueError, r'integer or several, got \(5, 0\)'),
        (dict(temperature=0), ValueError, 'temperature must be positive'),
        (dict(bank='data/x'), TypeError, "bank must be .* got 'data/x'"),
    ],
)
def test_mistakes_in_the_config_are_explained(
    options: dict, error: type[Exception], message: str
):
    config = hook_config(**options)
    config.pop('type')

    with pytest.raises(error, match=message):
        OnlineKNNHook(**config)


@pytest.mark.integration
@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(k=31), 'k = 31 neighbours cannot be taken from a bank of 30'),
        (
            dict(query=loader_config(labelled=False)),
            'the images of the kNN query set have no labels: name a labelled',
        ),
        (
            dict(bank=loader_config(0)),
            'the bank of the kNN evaluation is empty: check',
        ),
    ],
)
def test_unusable_data_stop_before_training(
    tmp_path: Path, options: dict, message: str
):
    recorder = Recorder()
    hook = hook_config(at_start=False, **options)
    runner = build_runner(tmp_path, hook, recorder)

    with pytest.raises(ValueError, match=message):
        runner.train()

    assert recorder.losses == []


@pytest.mark.integration
def test_training_is_the_same_with_and_without(tmp_path: Path):
    losses, states = [], []
    for name, hooks in (('without', []), ('with', [hook_config(interval=1)])):
        recorder = Recorder()
        runner = build_runner(tmp_path / name, *hooks, recorder)
        model = runner.train()
        losses.append(recorder.losses)
        states.append(model.state_dict())

    assert len(losses[0]) == 6
    assert losses[0] == losses[1]
    # Batch norm statistics, queue and momentum branch included.
    assert all(x.equal(states[1][key]) for key, x in states[0].items())


@pytest.mark.integration
def test_values_reach_log_scalars_and_checkpoint(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    runner = build_runner(tmp_path, hook_config())
    runner.logger.addHandler(caplog.handler)
    runner.logger.setLevel(logging.INFO)

    runner.train()

    # At the start, after every second epoch, and after the last one.
    scalars = saved_scalars(runner)
    assert [line['step'] for line in scalars] == [0, 2, 3]
    values = [line['knn_top1_k5'] for line in scalars]
    assert all(0 <= value <= 100 for value in values)
    assert f'Epoch 0: knn_top1_k5 = {values[0]:.1f} (first ' in (caplog.text)
    checkpoint = torch.load(tmp_path / 'epoch_3.pth', weights_only=False)
    history = checkpoint['message_hub']['log_scalars']['knn_top1_k5']
    assert history.data[0].tolist() == values


@pytest.mark.integration
def test_a_resumed_run_goes_on_with_the_history(tmp_path: Path):
    hook = hook_config(at_start=False)
    build_runner(tmp_path, hook, epochs=2).train()

    resumed = build_runner(tmp_path, hook, epochs=3, resume=True)
    resumed.train()

    history, _ = resumed.message_hub.get_scalar('knn_top1_k5').data
    assert len(history) == 2
    assert saved_scalars(resumed)[-1]['step'] == 3
