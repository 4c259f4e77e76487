"""Each recipe builds the published experiment, value by value.

Networks, optimiser, schedules, loss and views are the real objects, on the
number of images that the data set really has.
"""

import math
from copy import deepcopy
from typing import Any

import pytest
import torch
import torchvision
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import HOOKS, MODELS, PARAM_SCHEDULERS, TRANSFORMS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sce_mm.engine.schedulers.schedules import build_schedule
from sce_mm.evaluation.features import evaluation_mode
from tests.helpers.published import (
    ASYM_IN1K,
    AUGMENTATIONS,
    CIFAR10,
    RESSL_IN1K,
    TABLE,
)
from tests.helpers.recipes import build_model, recipe, views

every_experiment = pytest.mark.parametrize(
    ('name', 'expected'), TABLE.items(), ids=TABLE
)


def optimizer_of(cfg: Config, model: nn.Module) -> Any:
    # Loss scaling needs a GPU and changes no number looked at here.
    wrapper = deepcopy(cfg.optim_wrapper)
    wrapper.type = 'OptimWrapper'
    wrapper.pop('loss_scale', None)
    return build_optim_wrapper(model, wrapper)


@every_experiment
def test_optimiser(name, expected):
    cfg = recipe(name)
    wrapper = optimizer_of(cfg, build_model(name))
    lars = 'trust_coefficient' in expected.optimizer
    kind = 'LARSMoCoV3' if lars else 'SGD'
    assert type(wrapper.optimizer).__name__ == kind
    assert cfg.auto_scale_lr.base_batch_size == expected.batch
    assert wrapper.clip_grad_kwargs is None
    assert wrapper._accumulative_counts == 1
    for group in wrapper.param_groups:
        trained = [p for p in group['params'] if p.requires_grad]
        wanted = dict(expected.optimizer, lr=expected.lr)
        if name == RESSL_IN1K and all(p.ndim < 2 for p in trained):
            wanted['weight_decay'] = 0.0
        if trained:
            assert {key: group[key] for key in wanted} == wanted


def rate_at(cfg: Config, step: int, steps_per_epoch: int) -> float:
    """Learning rate of an optimiser step, from the scheduler of the run."""
    wrapper = optimizer_of(cfg, nn.Linear(2, 2))
    for group in wrapper.param_groups:
        group['initial_lr'] = group['lr']
    arguments = deepcopy(cfg.param_scheduler.to_dict())
    assert arguments.pop('convert_to_iter_based')
    cls = PARAM_SCHEDULERS.get(arguments.pop('type'))
    cls.build_iter_from_epoch(
        wrapper,
        **arguments,
        end=cfg.train_cfg.max_epochs,
        epoch_length=steps_per_epoch,
        last_step=step - 1,
    )
    (rate,) = {group['lr'] for group in wrapper.param_groups}
    return rate


@every_experiment
def test_schedules_at_their_corners(name, expected):
    cfg, e = recipe(name), expected
    per_epoch = e.images // e.batch
    warmup, total = e.warmup * per_epoch, e.epochs * per_epoch
    rates = {0: 0.0, 1: e.lr / (warmup - 1), warmup - 1: e.lr, warmup: e.lr}
    for t in (total // 2, total - 1):
        angle = math.pi * (t - warmup) / (total - warmup)
        rates[t] = e.lr * (1 + math.cos(angle)) / 2
    for t, rate in rates.items():
        assert rate_at(cfg, t, per_epoch) == pytest.approx(rate)
    hook = HOOKS.build(cfg.default_hooks.momentum_update)
    momentum = build_schedule(hook.phases, total, per_epoch)
    first, last = e.decay
    for t in (0, 1, total // 2, total - 2, total - 1):
        cosine = (math.cos(math.pi * t / (total - 1)) + 1) / 2
        decay = last - (last - first) * cosine
        assert 1 - momentum(t) == pytest.approx(decay, abs=1e-12)


@every_experiment
def test_loss_and_queue(name, expected):
    model = build_model(name)
    loss = model.head.loss_module
    assert loss.temperature == 0.1
    assert loss.target_temperature == expected.target_temperature
    assert loss.coeff == expected.coeff
    ressl = (1.0, 0.0) if name == RESSL_IN1K else (None, None)
    assert (loss.relation_weight, loss.ceiling_weight) == ressl
    assert not loss.official_zero_logit
    assert not model.head.in_batch_keys
    assert tuple(model.queue.features.shape) == expected.queue
    assert model.queue.features.dtype == torch.float32


def test_weights_of_the_ablations():
    base = ASYM_IN1K.replace('in1k', 'in100')
    weights = {
        base.replace('sce_', 'moco_'): (1, 0, 0),
        base.replace('sce_', 'ressl_'): (0, 1, 0),
        base.replace('asym', 'asym-coeff0'): (0, 1, 1),
        base.replace('asym', 'asym-noceil'): (0.5, 0.5, 0),
        base: (0.5, 0.5, 0.5),
    }
    for name, expected in weights.items():
        loss = MODELS.build(recipe(name).model.head.loss)
        others = (loss.relation_weight, loss.ceiling_weight)
        rest = [1 - loss.coeff if w is None else w for w in others]
        assert (loss.coeff, *rest) == expected
        assert loss.target_temperature == 0.05


@every_experiment
def test_views_and_pixels(name, expected):
    cfg = recipe(name)
    built = TRANSFORMS.build({'type': 'SCEViews', 'views': views(cfg)}).views
    assert len(built) == len(expected.views)
    for view, (kind, size, scale) in zip(built, expected.views, strict=True):
        assert (view.size, view.scale) == (size, scale)
        assert (view.ratio, view.flip_prob) == ((3 / 4, 4 / 3), 0.5)
        assert (view.blur_sigma, view.solarise_threshold) == ((0.1, 2.0), 128)
        assert AUGMENTATIONS[kind] == (
            view.jitter_prob,
            view.brightness,
            view.contrast,
            view.saturation,
            view.hue,
            view.grey_prob,
            view.blur_prob,
            view.solarise_prob,
        )
    given = MODELS.build(cfg.model.data_preprocessor)
    for buffer, shares in zip(
        (given.mean, given.std), expected.pixels, strict=True
    ):
        levels = [255 * share for share in shares]
        assert buffer.flatten().tolist() == pytest.approx(levels, abs=0.01)


@every_experiment
def test_trunk_has_the_tensors_of_torchvision(name, expected):
    network = getattr(torchvision.models, f'resnet{expected.depth}')
    with torch.device('meta'):
        theirs = network().state_dict()
    shapes = {k: v.shape for k, v in theirs.items() if 'fc.' not in k}
    backbone = build_model(name).backbone
    if expected.depth == 18:
        # The small stem keeps every pixel.
        shapes['conv1.weight'] = torch.Size([64, 3, 3, 3])
        with evaluation_mode(backbone):
            (features,) = backbone(torch.empty(1, 3, 32, 32, device='meta'))
        assert features.shape == (1, 512, 4, 4)
    state = backbone.state_dict()
    assert {k: v.shape for k, v in state.items()} == shapes
    assert backbone.style == 'pytorch'
    assert not backbone.zero_init_residual
    assert (backbone.frozen_stages, backbone.norm_eval) == (-1, False)


def layers(module: nn.Module) -> tuple[list, list]:
    """Linear layers and norms of a head, as `published.mlp` describes them."""
    linear = [m for m in module.modules() if isinstance(m, nn.Linear)]
    return (
        [(m.in_features, m.out_features, m.bias is not None) for m in linear],
        [m.affine for m in module.modules() if isinstance(m, _BatchNorm)],
    )


@every_experiment
def test_heads_and_branches(name, expected):
    model = build_model(name)
    assert layers(model.neck) == expected.projector
    assert layers(model.momentum_encoder.neck) == expected.projector
    predictor = model.head.predictor
    assert (predictor and layers(predictor)) == expected.predictor
    # The loss is symmetric where there is a predictor.
    assert model.num_target_views == (2 if predictor else 1)
    target = dict(model.momentum_encoder.named_parameters())
    online = {
        f'{part}.{key}': p
        for part in ('backbone', 'neck')
        for key, p in getattr(model, part).named_parameters()
    }
    assert target.keys() == online.keys()
    assert not any(p.requires_grad for p in target.values())
    assert all(p.requires_grad for p in online.values())


@every_experiment
def test_batch_norm_of_both_branches(name, expected):
    model = build_model(name)
    kinds = [
        {
            (type(m).__name__, getattr(m, 'groups', None))
            for m in part.modules()
            if isinstance(m, _BatchNorm)
        }
        for part in (
            model.backbone,
            model.neck,
            model.momentum_encoder.backbone,
            model.momentum_encoder.neck,
            model.head,
        )
    ]
    if expected.predictor:
        assert kinds == [{('SyncBatchNorm', None)}] * 5
    else:
        # The momentum trunk normalises as on eight devices.
        norms = {('BatchNorm1d', None)} if expected.projector[1] else set()
        plain, split = ('BatchNorm2d', None), ('SplitBatchNorm2d', 8)
        assert kinds == [{plain}, norms, {split}, norms, set()]


def test_weights_start_as_in_torchvision():
    torch.manual_seed(0)
    model = MODELS.build(recipe(CIFAR10).model)
    model.init_weights()
    theirs = torchvision.models.resnet18().state_dict()
    online = model.backbone.state_dict()
    for key, value in online.items():
        if value.numel() > 10_000:
            ratio = value.std() / theirs[key].std()
            assert float(ratio) == pytest.approx(1, abs=0.05), key
        elif 'conv' not in key and 'downsample.0' not in key:
            assert torch.equal(value, theirs[key]), key
    # PyTorch's own start of a linear layer: uniform, 1 / sqrt(inputs).
    largest = float(model.neck.fc0.weight.detach().abs().max())
    assert largest == pytest.approx(512**-0.5, rel=0.01)
    for key, value in model.momentum_encoder.backbone.state_dict().items():
        assert torch.equal(value, online[key]), key
