"""Online kNN: it sees the training and leaves it alone."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from evaluation_toys import model_config
from mmengine.runner import Runner
from tiny_runner import Record

RUNNERS = itertools.count()


def loader_config(size: int = 30, **dataset: Any) -> dict:
    dataset = dict(type='ToyImages', size=size, **dataset)
    return dict(batch_size=8, num_workers=0, dataset=dataset)


def hook_config(**options: Any) -> dict:
    defaults = dict(
        type='OnlineKNNHook',
        bank=loader_config(),
        query=loader_config(12, offset=500),
        k=(5, 1),
        interval=2,
    )
    return {**defaults, **options}


def trained(
    work_dir: Path, *hooks: dict, epochs: int = 3, **options: Any
) -> tuple[Runner, list[torch.Tensor]]:
    """A runner after training, and its losses."""
    record = Record()
    runner = Runner(
        model=model_config(),
        work_dir=str(work_dir),
        train_dataloader=dict(
            sampler=dict(type='DefaultSampler', shuffle=True),
            collate_fn=dict(type='default_collate'),
            **loader_config(16, views=2),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.05)),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook')),
        custom_hooks=[dict(type='MomentumUpdateHook'), *hooks, record],
        visualizer=dict(
            type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]
        ),
        randomness=dict(seed=1),
        default_scope='mmpretrain',
        # Runners of the same second must not share a name.
        experiment_name=f'online_knn_{next(RUNNERS)}',
        **options,
    )
    runner.train()
    return runner, record.losses


def saved_scalars(runner: Runner) -> list[dict]:
    (path,) = Path(runner.log_dir).glob('vis_data/scalars.json')
    lines = map(json.loads, path.read_text().splitlines())
    return [line for line in lines if 'knn_top1_k5' in line]


@pytest.mark.integration
@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(interval=0), ValueError, 'positive number of epochs, got 0'),
        (dict(bank='data/x'), ValueError, "bank must be .* got 'data/x'"),
        (dict(k=31), ValueError, 'k = 31 neighbours cannot .* bank of 30'),
        (
            dict(query=loader_config(labelled=False)),
            ValueError,
            'the images of the query set have no labels: name a labelled',
        ),
    ],
)
def test_mistakes_stop_the_run_before_training(
    tmp_path, options, error, message
):
    with pytest.raises(error, match=message):
        trained(tmp_path, hook_config(at_start=False, **options))
    assert not list(tmp_path.glob('*.pth'))


@pytest.mark.integration
def test_training_is_the_same_with_and_without(tmp_path):
    plain, losses = trained(tmp_path / 'without')
    watched, same = trained(tmp_path / 'with', hook_config(interval=1))
    assert len(losses) == 6
    assert losses == same
    # Batch norm statistics, queue and momentum branch included.
    state = watched.model.state_dict()
    assert all(x.equal(state[k]) for k, x in plain.model.state_dict().items())


@pytest.mark.integration
def test_values_reach_scalars_checkpoint_and_a_resumed_run(tmp_path):
    runner, _ = trained(tmp_path, hook_config())
    # At the start, after every second epoch, and after the last one.
    scalars = saved_scalars(runner)
    assert [line['step'] for line in scalars] == [0, 2, 3]
    values = [line['knn_top1_k5'] for line in scalars]
    assert all(0 <= value <= 100 for value in values)
    checkpoint = torch.load(tmp_path / 'epoch_3.pth', weights_only=False)
    history = checkpoint['message_hub']['log_scalars']['knn_top1_k5']
    assert history.data[0].tolist() == values

    resumed, _ = trained(tmp_path, hook_config(), epochs=4, resume=True)
    history, _ = resumed.message_hub.get_scalar('knn_top1_k5').data
    assert history.tolist()[:3] == values
    assert saved_scalars(resumed)[-1]['step'] == 4
