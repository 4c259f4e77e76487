"""The estimate of memory, against what can be counted by hand."""

import re
import runpy
from types import SimpleNamespace

import pytest
import torch
from recipes import header, recipe
from torch import nn

CIFAR = 'sce_resnet18_1xb256-amp-coslr-200e_cifar10'


@pytest.fixture(scope='module')
def tool(request) -> SimpleNamespace:
    path = request.config.rootpath / 'tools/analysis_tools/estimate_memory.py'
    return SimpleNamespace(**runpy.run_path(str(path)))


class OneLayer(nn.Module):
    """What it keeps for the backward pass is its input and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(12, 5)

    def loss(self, views):
        outputs = [self.fc(view.flatten(1)) for view in views]
        return {'loss': sum(output.sum() for output in outputs)}


def test_kept_bytes_are_those_of_the_inputs(tool):
    # Two views of 3 x 2 x 2 numbers, 4 bytes each.
    kept = tool.kept_bytes(OneLayer(), [2, 2], batch=7, amp=False)
    assert kept == 2 * 7 * 12 * 4
    # Under autocast copies of input and weight, half as wide, take its place.
    assert tool.kept_bytes(OneLayer(), [2, 2], 7, amp=True) == pytest.approx(
        kept / 2, abs=2 * 12 * 5
    )


@pytest.mark.parametrize(('kind', 'copies'), [('SGD', 3), ('AdamW', 4)])
def test_state_is_weights_gradients_and_moments(tool, kind, copies):
    model = OneLayer()
    model.fc.bias.requires_grad = False
    model.register_buffer('queue', torch.zeros(10))
    wrapper = SimpleNamespace(optimizer=SimpleNamespace(type=kind))
    counted = tool.state_bytes(model, wrapper)
    assert counted == 4 * (copies * 60 + 5 + 10)


def test_header_of_the_smallest_recipe_has_the_estimate(tool):
    stated = re.search(r'Memory: ([\d.]+) GB a GPU', header(f'sce/{CIFAR}.py'))
    total = sum(tool.estimate(recipe(CIFAR)))
    assert float(stated[1]) == pytest.approx(total, abs=0.1)
