"""A step with NaN or Inf is not made, is explained, and can be replayed."""

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmpretrain.registry import OPTIM_WRAPPERS
from tiny import build, sce_config, views
from tiny_runner import TinyImages, build_runner
from torch.utils.data import DataLoader

from sce_mm.cli.commands.replay import replay
from sce_mm.engine.hooks.numerical_guard_hook import (
    NonFiniteError,
    all_finite,
    first_non_finite,
)

pytestmark = pytest.mark.integration
GUARD = {'type': 'NumericalGuardHook', 'max_skipped': 3}
UPDATE = {'type': 'MomentumUpdateHook', 'momentum': 0.1}
SCALING = {
    'type': 'ScalingOptimWrapper',
    'optimizer': {'type': 'SGD', 'lr': 0.1},
}


@OPTIM_WRAPPERS.register_module(force=True)
class ScalingOptimWrapper(OptimWrapper):
    """Skips steps with gradients that are not finite, as a scaler does."""

    def step(self, **kwargs):
        grads = [
            p.grad
            for g in self.optimizer.param_groups
            for p in g['params']
            if p.grad is not None
        ]
        if all_finite(grads):
            super().step(**kwargs)


def poisoned(bad, value=float('nan')):
    dataset = TinyImages(16)
    dataset.views[1][bad] = value
    return DataLoader(dataset, batch_size=4)


def batch(n=4):
    return {'inputs': [100 + v for v in views(n)], 'data_samples': None}


@pytest.mark.parametrize('accumulate', [1, 2])
def test_a_bad_batch_stops_before_its_step(root, tmp_path, accumulate):
    # Image 9 is in the third batch: step 3, or the first half of step 2.
    runner, _ = build_runner(
        tmp_path,
        train_dataloader=poisoned(9),
        hooks=(UPDATE, GUARD),
        accumulate=accumulate,
        model={'batch_norm': True},
        cfg={'model': sce_config(batch_norm=True)},
    )
    before = []
    step = runner.call_hook
    runner.call_hook = lambda name, **k: (
        before.append(runner.model.neck.fc.weight.detach().clone())
        if name == 'before_train_iter'
        else None,
        step(name, **k),
    )
    stopped_at = 3 if accumulate == 1 else 4
    with pytest.raises(NonFiniteError) as error:
        runner.train()
    message = str(error.value)
    assert message.startswith(f'iteration {stopped_at}: loss or gradients')
    assert 'The optimiser step was not made and no checkpoint' in message
    assert torch.equal(before[2], runner.model.neck.fc.weight)
    assert not list(tmp_path.glob('*.pth'))
    (saved,) = (tmp_path / 'not_finite').iterdir()
    assert str(saved) in message
    sentence = 'the images of batch 0 of the step are not finite'
    assert sentence in message
    assert replay(saved) == replay(saved, float64=True) == sentence


def test_weights_outputs_and_gradients_are_told_apart():
    model = build()
    assert 'everything is finite' in first_non_finite(model, [batch()])
    model.neck.fc.weight.data[0, 0] = torch.inf
    assert first_non_finite(model, [batch()]).startswith(
        'neck.fc.weight (a weight or buffer)'
    )
    model = build()
    model.backbone[2].weight.data.fill_(3e38)
    assert first_non_finite(model, [batch()]) == (
        'the output of backbone.2 (Linear) is not finite'
    )
    model = build()
    model.neck.fc.weight.register_hook(lambda g: g * torch.nan)
    assert first_non_finite(model, [batch()]).startswith(
        'the gradient of neck.fc.weight is not finite'
    )


def test_skipped_steps_are_tolerated_up_to_a_bound(tmp_path):
    def trained(bad_iterations, folder):
        runner, record = build_runner(
            tmp_path / folder, hooks=(UPDATE, GUARD), optim_wrapper=SCALING
        )
        runner.model.neck.fc.weight.register_hook(
            lambda g: g * torch.nan if runner.iter in bad_iterations else g
        )
        runner.train()
        return record

    assert len(trained({0, 1, 4, 5}, 'few').losses) == 8
    with pytest.raises(NonFiniteError, match='in 3 steps in a row'):
        trained({2, 3, 4}, 'many')


def test_a_loss_that_is_not_finite_is_not_a_matter_of_scale(tmp_path):
    # A folder cannot be made where a file is; the reason is in the message.
    (tmp_path / 'not_finite').touch()
    runner, _ = build_runner(
        tmp_path,
        train_dataloader=poisoned(9),
        hooks=(UPDATE, GUARD),
        optim_wrapper=SCALING,
    )
    with pytest.raises(
        NonFiniteError,
        match=r'iteration 3: the loss is not.*could not be saved \(cannot wri',
    ):
        runner.train()
    # Its keys did not reach the queue.
    assert torch.isfinite(runner.model.queue.features).all()


def test_the_guard_changes_nothing(tmp_path):
    guarded, with_guard = build_runner(tmp_path / 'a', hooks=(UPDATE, GUARD))
    guarded.train()
    free, without = build_runner(tmp_path / 'b', hooks=(UPDATE,))
    free.train()
    assert torch.equal(
        torch.stack(with_guard.losses), torch.stack(without.losses)
    )
