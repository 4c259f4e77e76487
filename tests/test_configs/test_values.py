"""What each recipe builds against the published numbers, value by value.

Optimiser, schedules, loss and views are the real objects, on the number of
images that the data set really has.
"""

import math
from copy import deepcopy
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import HOOKS, MODELS, PARAM_SCHEDULERS, TRANSFORMS
from torch import nn

from sce_mm.engine.schedulers.schedules import build_schedule
from tests.helpers.published import (
    ASYM_IN1K,
    AUGMENTATIONS,
    RESSL_IN1K,
    SGD,
    TABLE,
    VIEWS,
)
from tests.helpers.recipes import build_model, recipe, views


def optimizer_of(cfg: Config, model: nn.Module) -> Any:
    # Loss scaling needs a GPU and changes no number looked at here.
    wrapper = deepcopy(cfg.optim_wrapper)
    wrapper.type = 'OptimWrapper'
    wrapper.pop('loss_scale', None)
    return build_optim_wrapper(model, wrapper)


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


@pytest.mark.parametrize('name', TABLE)
def test_optimiser(name):
    cfg, expected = recipe(name), TABLE[name]
    wrapper = optimizer_of(cfg, build_model(name))
    assert cfg.auto_scale_lr.base_batch_size == expected.batch
    lars = 'trust_coefficient' in expected.optimizer
    kind = 'LARSMoCoV3' if lars else 'SGD'
    assert type(wrapper.optimizer).__name__ == kind
    trained = [
        group
        for group in wrapper.param_groups
        if any(p.requires_grad for p in group['params'])
    ]
    for group in trained:
        assert group['lr'] == expected.lr
        for key, value in expected.optimizer.items():
            exempt = key == 'weight_decay' and name == RESSL_IN1K
            if exempt and all(p.ndim < 2 for p in group['params']):
                value = 0.0
            assert group[key] == pytest.approx(value), key
    assert wrapper.clip_grad_kwargs is None
    assert wrapper._accumulative_counts == 1


@pytest.mark.parametrize('name', TABLE)
def test_weight_decay_reaches_vectors_only_where_it_should(name):
    # Gradients of zero: whatever moves is moved by the decay.
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    nn.init.ones_(model[0].bias)
    wrapper = optimizer_of(recipe(name), model)
    before = deepcopy(model)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    wrapper.step()
    moved = {
        key
        for key, value in model.named_parameters()
        if not torch.equal(value, before.get_parameter(key))
    }
    exempt = TABLE[name].optimizer is not SGD and (
        'trust_coefficient' in TABLE[name].optimizer or name == RESSL_IN1K
    )
    everything = {'0.weight', '0.bias', '1.weight'}
    assert moved == ({'0.weight'} if exempt else everything)


@pytest.mark.parametrize('name', TABLE)
def test_learning_rate_at_its_corners(name):
    cfg, e = recipe(name), TABLE[name]
    per_epoch = e.images // e.batch
    warmup, total = e.warmup * per_epoch, e.epochs * per_epoch
    rate = {
        t: rate_at(cfg, t, per_epoch)
        for t in (0, 1, warmup - 1, warmup, total // 2, total - 1)
    }
    assert rate[0] == 0
    assert rate[1] == pytest.approx(e.lr / (warmup - 1))
    assert rate[warmup - 1] == pytest.approx(e.lr)
    assert rate[warmup] == pytest.approx(e.lr)
    for t in (total // 2, total - 1):
        angle = math.pi * (t - warmup) / (total - warmup)
        assert rate[t] == pytest.approx(e.lr * (1 + math.cos(angle)) / 2)


@pytest.mark.parametrize('name', TABLE)
def test_decay_of_the_momentum_encoder(name):
    cfg, e = recipe(name), TABLE[name]
    hook = cfg.default_hooks.momentum_update
    per_epoch = e.images // e.batch
    total = e.epochs * per_epoch
    momentum = build_schedule(HOOKS.build(hook).phases, total, per_epoch)
    first, last = e.decay
    assert 1 - momentum(0) == pytest.approx(first)
    assert 1 - momentum(total - 1) == pytest.approx(last, abs=1e-12)
    for t in (1, total // 2, total - 2):
        cosine = (math.cos(math.pi * t / (total - 1)) + 1) / 2
        expected = last - (last - first) * cosine
        assert 1 - momentum(t) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize('name', TABLE)
def test_loss_and_queue(name):
    expected, model = TABLE[name], build_model(name)
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


def test_ladder_of_the_coefficients():
    base = ASYM_IN1K.replace('in1k', 'in100')
    ladder = {
        base.replace('sce_', 'moco_'): (1, 0, 0),
        base.replace('sce_', 'ressl_'): (0, 1, 0),
        base.replace('asym', 'asym-coeff0'): (0, 1, 1),
        base.replace('asym', 'asym-noceil'): (0.5, 0.5, 0),
        base: (0.5, 0.5, 0.5),
    }
    for name, weights in ladder.items():
        loss = MODELS.build(recipe(name).model.head.loss)
        built = tuple(
            1 - loss.coeff if weight is None else weight
            for weight in (
                loss.coeff,
                loss.relation_weight,
                loss.ceiling_weight,
            )
        )
        assert built == weights
        assert loss.target_temperature == 0.05


@pytest.mark.parametrize('name', TABLE)
def test_views(name):
    transform = TRANSFORMS.build(
        {'type': 'SCEViews', 'views': views(recipe(name))}
    )
    assert len(transform.views) == len(VIEWS[name])
    for view, (kind, size, scale) in zip(
        transform.views, VIEWS[name], strict=True
    ):
        assert (view.size, view.scale) == (size, scale)
        assert view.ratio == (3 / 4, 4 / 3)
        assert view.flip_prob == 0.5
        assert view.blur_sigma == (0.1, 2.0)
        assert view.solarise_threshold == 128
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
