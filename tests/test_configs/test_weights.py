"""What the weights of both branches are before the first step."""

import pytest
import torch
import torchvision
from mmpretrain.registry import MODELS

from tests.helpers.published import CIFAR10
from tests.helpers.recipes import recipe


def test_weights_start_as_in_torchvision():
    torch.manual_seed(0)
    model = MODELS.build(recipe(CIFAR10).model)
    model.init_weights()
    theirs = torchvision.models.resnet18().state_dict()
    for key, value in model.backbone.state_dict().items():
        if value.numel() > 10_000:
            ratio = value.std() / theirs[key].std()
            assert float(ratio) == pytest.approx(1, abs=0.05), key
        elif 'conv' not in key and 'downsample.0' not in key:
            assert torch.equal(value, theirs[key]), key
    # PyTorch's own start of a linear layer: uniform, 1 / sqrt(inputs).
    largest = float(model.neck.fc0.weight.detach().abs().max())
    assert largest == pytest.approx(512**-0.5, rel=0.01)
    online = model.backbone.state_dict()
    for key, value in model.momentum_encoder.backbone.state_dict().items():
        assert torch.equal(value, online[key]), key
