"""LARS against its rule, written out."""

import numpy as np
import pytest
import torch
from mmpretrain.registry import OPTIMIZERS

from sce_mm.engine import LARSMoCoV3
from sce_mm.engine.optimizers import lars


def by_the_rule(parameter, gradients, lr, momentum, decay, coefficient):
    """Float64 NumPy, one parameter over several steps."""
    p = np.array(parameter)
    buffer = np.zeros_like(p)
    for g in gradients:
        d = g
        if p.ndim > 1:
            d = g + decay * p
            p_norm, d_norm = np.sqrt((p**2).sum()), np.sqrt((d**2).sum())
            if p_norm > 0 and d_norm > 0:
                d = d * coefficient * p_norm / d_norm
        buffer = momentum * buffer + d
        p = p - lr * buffer
    return p


@pytest.mark.parametrize('shape', [(4, 2, 3, 3), (7,)])
@pytest.mark.parametrize('zero', [False, True])
def test_follows_the_rule(shape, zero):
    random = np.random.default_rng(0)
    start = np.array(random.normal(size=shape) * (not zero))
    gradients = [np.array(random.normal(size=shape)) for _ in range(4)]
    parameter = torch.nn.Parameter(torch.from_numpy(np.array(start)))
    optimizer = OPTIMIZERS.build(
        {
            'type': 'LARSMoCoV3',
            'params': [parameter],
            'lr': 4.8,
            'weight_decay': 1e-2,
        }
    )
    for gradient in gradients:
        parameter.grad = torch.from_numpy(np.array(gradient))
        optimizer.step()
        np.testing.assert_array_equal(parameter.grad.numpy(), gradient)
    expected = by_the_rule(start, gradients, 4.8, 0.9, 1e-2, 1e-3)
    np.testing.assert_allclose(parameter.detach().numpy(), expected, 1e-12)


def train(kind, start, gradients, lrs, decay):
    """The parameter after steps with these gradients and rates."""
    parameter = torch.nn.Parameter(start.clone())
    options = {'momentum': 0.9, 'weight_decay': decay, 'lr': lrs[0]}
    optimizer = OPTIMIZERS.build(
        {'type': kind, 'params': [parameter], **options}
    )
    for gradient, lr in zip(gradients, lrs, strict=True):
        optimizer.param_groups[0]['lr'] = lr
        parameter.grad = gradient.clone()
        optimizer.step()
    return parameter.detach()


@pytest.mark.parametrize(
    ('shape', 'lrs', 'decay', 'equal'),
    [
        ((3, 4), (1.0, 1.0, 1.0), 0.0, True),
        # Theirs takes the norms of weight and gradient apart,
        ((3, 4), (1.0, 1.0, 1.0), 0.1, False),
        # keeps the learning rate of each step inside the buffer,
        ((3, 4), (1.0, 0.5, 0.1), 0.0, False),
        # and adapts vectors.
        ((5,), (1.0, 1.0, 1.0), 0.0, False),
    ],
    ids=['the rest', 'decay', 'schedule', 'vector'],
)
def test_where_it_differs_from_the_one_of_mmpretrain(shape, lrs, decay, equal):
    generator = torch.Generator().manual_seed(1)
    start, *gradients = torch.randn(
        4, *shape, generator=generator, dtype=torch.float64
    )
    ours, theirs = (
        train(kind, start, gradients, lrs, decay)
        for kind in ('LARSMoCoV3', 'LARS')
    )
    gap = (ours - theirs).abs().max().item()
    # Their norm of the gradient has 1e-8 added to it.
    assert gap < 1e-9 if equal else gap > 1e-5


@pytest.mark.parametrize('together', [False, True], ids=['cpu', 'gpu'])
def test_groups_and_missing_gradients_keep_apart(monkeypatch, together):
    if together:
        monkeypatch.setattr(lars, 'batches', lambda parameters: [parameters])
    generator = torch.Generator().manual_seed(2)
    shapes = [(4, 3), (6,), (2, 2), (3, 3)]
    starts = [
        torch.randn(s, generator=generator, dtype=torch.float64)
        for s in shapes
    ]
    parameters = [torch.nn.Parameter(x.clone()) for x in starts]
    groups = [
        {'params': parameters[:2], 'lr': 2.0},
        {'params': parameters[2:], 'weight_decay': 0.5, 'momentum': 0.5},
    ]
    optimizer = LARSMoCoV3(groups, lr=1.0)
    for parameter in parameters[:3]:
        parameter.grad = torch.ones_like(parameter)
    with monkeypatch.context() as patch:
        # Whatever reads a number waits for the device.
        for reader in ('item', 'tolist', '__bool__', '__float__', 'cpu'):
            patch.setattr(torch.Tensor, reader, None)
        optimizer.step()
        optimizer.step()
    numbers = [(2.0, 0.9, 0.0), (2.0, 0.9, 0.0), (1.0, 0.5, 0.5)]
    for parameter, start, shape, (lr, momentum, decay) in zip(
        parameters[:3], starts, shapes, numbers, strict=False
    ):
        expected = by_the_rule(
            start.numpy(), [np.ones(shape)] * 2, lr, momentum, decay, 1e-3
        )
        np.testing.assert_allclose(parameter.detach(), expected, 1e-12)
    assert torch.equal(parameters[3], starts[3])
    assert parameters[3] not in optimizer.state


def test_negative_numbers_are_refused():
    parameter = torch.nn.Parameter(torch.zeros(2, 2))
    with pytest.raises(ValueError, match='lr must not be negative, got -1'):
        LARSMoCoV3([parameter], lr=-1)
