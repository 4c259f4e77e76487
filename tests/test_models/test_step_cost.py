"""No step waits for the device; values are fetched when they are logged."""

import json

import pytest
import torch
from device_laws import (
    WAITS,
    check_no_step_waits,
    check_wait_is_noticed,
)
from dispatch import Watch
from tiny import build, sce_config, views
from tiny_runner import build_runner


@pytest.mark.parametrize(
    'optimizer',
    [
        {'type': 'SGD', 'lr': 0.1, 'momentum': 0.9},
        {'type': 'LARSMoCoV3', 'lr': 0.1, 'weight_decay': 1e-6},
    ],
    ids=lambda cfg: cfg['type'],
)
@pytest.mark.parametrize('wrapper', ['OptimWrapper', 'BF16OptimWrapper'])
def test_no_step_waits(optimizer, wrapper):
    check_no_step_waits(
        build(batch_norm=True, in_batch_keys=True),
        views(6, 4),
        {'type': wrapper, 'optimizer': optimizer},
    )


@pytest.mark.parametrize('what', WAITS)
def test_a_wait_is_noticed(what):
    check_wait_is_noticed(what)


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


@pytest.mark.integration
def test_every_line_of_the_log_adds_up(tmp_path):
    head = sce_config()['head']
    head['loss'] |= {'coeff': 0.4, 'official_zero_logit': True}
    runner, record = build_runner(
        tmp_path,
        images=28,
        epochs=3,
        model={'head': head, 'batch_norm': True},
        default_hooks={
            'runtime_info': {'type': 'DeferredRuntimeInfoHook'},
            'logger': {'type': 'LoggerHook', 'interval': 3},
            'checkpoint': None,
        },
    )
    runner.train()
    (scalars,) = tmp_path.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in scalars.read_text().splitlines()]
    # After 3 and 6 iterations of each epoch.
    assert len(lines) == 6
    losses = torch.stack(record.losses)
    for line in lines:
        coeff = line['coeff']
        total = coeff * line['contrastive'] + (1 - coeff) * line['relational']
        assert line['loss'] == pytest.approx(total, rel=1e-5)
        # Of the ten last iterations, as everything that the model returns.
        window = losses[: line['step']][-10:]
        assert line['loss'] == pytest.approx(window.mean().item(), rel=1e-5)
    for name in ('contrastive', 'target_entropy', 'neighbours', 'coeff'):
        values = runner.message_hub.get_scalar(f'train/{name}').data[0][:20]
        assert lines[-1][name] == pytest.approx(values[-10:].mean())
