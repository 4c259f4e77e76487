"""No step waits for the device; values are fetched when they are logged."""

import pytest
import torch
from dispatch import Watch
from mmengine.optim import build_optim_wrapper
from tiny import build, views
from tiny_runner import build_runner


def test_the_watch_sees_reads():
    with Watch() as watch:
        torch.ones(()).item()
        bool(torch.ones(()))
        torch.ones(3).nonzero()
    assert len(watch.reads) == 3


@pytest.mark.parametrize(
    'optimizer',
    [
        {'type': 'SGD', 'lr': 0.1, 'momentum': 0.9},
        {'type': 'LARSMoCoV3', 'lr': 0.1, 'weight_decay': 1e-6},
    ],
    ids=lambda cfg: cfg['type'],
)
@pytest.mark.parametrize('wrapper', ['OptimWrapper', 'BF16OptimWrapper'])
@pytest.mark.parametrize('in_batch_keys', [False, True])
def test_no_step_waits(optimizer, wrapper, in_batch_keys):
    model = build(batch_norm=True)
    model.head.in_batch_keys = in_batch_keys
    optim_wrapper = build_optim_wrapper(
        model, {'type': wrapper, 'optimizer': optimizer}
    )
    data = {'inputs': views(6, 4), 'data_samples': None}
    with Watch() as watch:
        for _ in range(2):
            model.train_step(data, optim_wrapper)
            model.after_optimizer_step(0.01)
    assert watch.reads == []


@pytest.mark.integration
def test_the_log_is_fetched_once_an_interval_and_is_the_same(tmp_path):
    def run(name, hook):
        runner, _ = build_runner(
            tmp_path / name,
            images=28,
            hooks=({'type': 'MomentumUpdateHook', 'momentum': 0.1},),
            default_hooks={
                'runtime_info': {'type': hook},
                'logger': {'type': 'LoggerHook', 'interval': 3},
                'checkpoint': None,
            },
        )
        with Watch() as watch:
            runner.train()
        scalars = runner.message_hub.log_scalars
        return watch.reads, {
            name: scalars[name].data[0].tolist()
            for name in scalars
            if name.startswith('train/') and 'time' not in name
        }

    reads, log = run('deferred', 'DeferredRuntimeInfoHook')
    many_reads, same_log = run('mmengine', 'RuntimeInfoHook')
    assert log == same_log
    assert len(log['train/loss']) == 14
    # Two epochs of seven iterations: after 3, 6 and 7 of each.
    assert len(many_reads) - len(reads) >= 14 * 8
