"""The networks of each recipe: shapes, counts, batch norm and pixels."""

import pytest
import torch
import torchvision
from mmpretrain.registry import MODELS
from torch import nn

from sce_mm.evaluation.features import evaluation_mode
from sce_mm.transfer.describe import describe_backbone
from tests.helpers.published import (
    ASYM_IN1K,
    CIFAR10,
    CROPS,
    IMAGENET,
    RESSL_IN1K,
    TABLE,
)
from tests.helpers.recipes import build_model, recipe

SYMMETRIC = [*(IMAGENET.format(e) for e in (100, 200, 300, 1000)), CROPS]
ASYMMETRIC = [ASYM_IN1K, ASYM_IN1K.replace('in1k', 'in100'), RESSL_IN1K]
SMALL = [name for name in TABLE if name.startswith('sce_resnet18')]
PIXELS = {
    'imagenet': ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    'cifar10': ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    'cifar100': ((0.5071, 0.4865, 0.4409), (0.2009, 0.1984, 0.2023)),
    'stl10': ((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)),
}


def count(module):
    return sum(p.numel() for p in module.parameters())


def linears(module):
    """Inputs, outputs and whether there is a bias, in order."""
    return [
        (m.in_features, m.out_features, m.bias is not None)
        for m in module.modules()
        if isinstance(m, nn.Linear)
    ]


def norms(module):
    """Whether each batch norm of a head has weights, by name."""
    return {
        name: m.affine
        for name, m in module.named_modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm)
    }


def test_every_experiment_is_looked_at():
    assert {*SYMMETRIC, *ASYMMETRIC, *SMALL} == set(TABLE)


@pytest.mark.parametrize(
    ('names', 'depth', 'tensors', 'parameters'),
    [
        (SYMMETRIC + ASYMMETRIC, 50, 318, 23_508_032),
        (SMALL, 18, 120, 11_168_832),
    ],
)
def test_trunk_has_the_tensors_of_torchvision(
    names, depth, tensors, parameters
):
    with torch.device('meta'):
        theirs = getattr(torchvision.models, f'resnet{depth}')().state_dict()
    shapes = {k: v.shape for k, v in theirs.items() if 'fc.' not in k}
    if names is SMALL:
        shapes['conv1.weight'] = torch.Size([64, 3, 3, 3])
    for name in names:
        backbone = build_model(name).backbone
        state = backbone.state_dict()
        assert {k: v.shape for k, v in state.items()} == shapes
        assert (len(state), count(backbone)) == (tensors, parameters)
        assert backbone.style == 'pytorch'
        assert not backbone.zero_init_residual
        assert backbone.frozen_stages == -1
        assert not backbone.norm_eval


def test_small_stem_keeps_every_pixel_and_says_so():
    small = build_model(CIFAR10).backbone
    assert (small.conv1.stride, small.conv1.padding) == ((1, 1), (1, 1))
    images = torch.empty(1, 3, 32, 32, device='meta')
    # Three of four stages halve the image; ResNet's own stem quarters it too.
    with evaluation_mode(small):
        assert small(images)[0].shape == (1, 512, 4, 4)
    assert describe_backbone(small)['arch'] == 'ResNet_CIFAR-18'
    large = build_model(ASYM_IN1K).backbone
    assert describe_backbone(large)['arch'] == 'ResNet-50'


@pytest.mark.parametrize('name', SYMMETRIC)
def test_heads_of_the_symmetric_recipe(name):
    model = build_model(name)
    hidden = 4096 if name == CROPS else 2048
    assert linears(model.neck) == [
        (2048, hidden, False),
        (hidden, hidden, False),
        (hidden, 256, False),
    ]
    assert norms(model.neck) == {'bn0': True, 'bn1': True, 'bn2': False}
    counted = 26_230_784 if name == CROPS else 8_921_088
    assert count(model.neck) == counted
    predictor = model.head.predictor
    assert linears(predictor) == [(256, 4096, False), (4096, 256, False)]
    assert norms(predictor) == {'bn0': True}
    assert count(predictor) == 2_105_344


@pytest.mark.parametrize('name', ASYMMETRIC)
def test_heads_of_the_asymmetric_baselines(name):
    model = build_model(name)
    width = TABLE[name].queue[1]
    assert linears(model.neck) == [(2048, 4096, True), (4096, width, True)]
    assert not norms(model.neck)
    assert model.head.predictor is None


@pytest.mark.parametrize('name', SMALL)
def test_heads_of_the_small_networks(name):
    model = build_model(name)
    assert linears(model.neck) == [(512, 512, False), (512, 128, True)]
    assert norms(model.neck) == {'bn0': True}
    assert model.head.predictor is None


@pytest.mark.parametrize('name', TABLE)
def test_momentum_branch(name):
    model = build_model(name)
    target = dict(model.momentum_encoder.named_parameters())
    online = {
        **{f'backbone.{k}': v for k, v in model.backbone.named_parameters()},
        **{f'neck.{k}': v for k, v in model.neck.named_parameters()},
    }
    assert target.keys() == online.keys()
    assert not any(p.requires_grad for p in target.values())
    assert all(p.requires_grad for p in online.values())
    assert model.num_target_views == (2 if name in SYMMETRIC else 1)


@pytest.mark.parametrize('name', SYMMETRIC)
def test_batch_norm_is_synchronised_in_both_branches(name):
    layers = [
        m
        for m in build_model(name).modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm)
    ]
    # 53 a trunk, 3 a projector, 1 of the predictor.
    assert len(layers) == 2 * (53 + 3) + 1
    assert all(isinstance(m, nn.SyncBatchNorm) for m in layers)


@pytest.mark.parametrize('name', ASYMMETRIC + SMALL)
def test_batch_norm_of_the_momentum_trunk_is_that_of_eight_devices(name):
    model = build_model(name)
    target = model.momentum_encoder
    kinds = {
        branch: {
            type(m).__name__: getattr(m, 'groups', None)
            for m in module.modules()
            if isinstance(m, nn.modules.batchnorm._BatchNorm)
        }
        for branch, module in (
            ('online', model.backbone),
            ('target', target.backbone),
            ('projector', target.neck),
        )
    }
    norms_of_projector = {'BatchNorm1d': None} if name in SMALL else {}
    assert kinds == {
        'online': {'BatchNorm2d': None},
        'target': {'SplitBatchNorm2d': 8},
        'projector': norms_of_projector,
    }


@pytest.mark.parametrize('name', TABLE)
def test_pixels(name):
    data = name.rsplit('_', 1)[1]
    mean, std = PIXELS.get(data, PIXELS['imagenet'])
    preprocessor = MODELS.build(recipe(name).model.data_preprocessor)
    for buffer, share in ((preprocessor.mean, mean), (preprocessor.std, std)):
        assert buffer.flatten().tolist() == pytest.approx(
            [255 * x for x in share], abs=0.01
        )
