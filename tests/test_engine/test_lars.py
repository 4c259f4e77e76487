"""LARS against its rule, written out."""

import numpy as np
import pytest
import torch
from mmpretrain.registry import OPTIMIZERS

from sce_mm.engine import LARSMoCoV3


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


@pytest.mark.parametrize('shape', [(5, 3), (4, 2, 3, 3), (7,), ()])
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


def test_differs_from_the_one_of_mmpretrain():
    results = []
    for kind in ('LARSMoCoV3', 'LARS'):
        parameter = torch.nn.Parameter(torch.eye(3))
        optimizer = OPTIMIZERS.build(
            {
                'type': kind,
                'params': [parameter],
                'lr': 1.0,
                'momentum': 0.9,
                'weight_decay': 0.1,
            }
        )
        parameter.grad = torch.full((3, 3), 0.5)
        optimizer.step()
        results.append(parameter.detach().clone())
    assert (results[0] - results[1]).abs().max() > 1e-5


def test_negative_numbers_are_refused():
    parameter = torch.nn.Parameter(torch.zeros(2, 2))
    with pytest.raises(ValueError, match='lr must not be negative, got -1'):
        LARSMoCoV3([parameter], lr=-1)
