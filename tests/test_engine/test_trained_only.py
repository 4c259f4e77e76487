"""Groups of an optimiser for a model with a momentum encoder."""

import logging

import pytest
import tiny
from mmengine.logging import MMLogger
from mmengine.optim import DefaultOptimWrapperConstructor, build_optim_wrapper

CONFIG = {
    'type': 'OptimWrapper',
    'optimizer': {'type': 'SGD', 'lr': 0.1, 'weight_decay': 1e-4},
    'paramwise_cfg': {'norm_decay_mult': 0.0, 'bias_decay_mult': 0.0},
}


@pytest.fixture
def warnings(caplog):
    """What mmengine's logger warned of."""
    name = 'test_trained_only'
    logger = MMLogger.get_instance(name, logger_name=name)
    logger.addHandler(caplog.handler)
    yield lambda: [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING
    ]
    logger.removeHandler(caplog.handler)


def groups(model, wrapper):
    """Names and decay of the groups that are trained."""
    names = {id(p): name for name, p in model.named_parameters()}
    return [
        ([names[id(p)] for p in group['params']], group['weight_decay'])
        for group in wrapper.optimizer.param_groups
        if any(p.requires_grad for p in group['params'])
    ]


def test_groups_are_those_of_mmengine_without_a_word_of_frozen_ones(warnings):
    model = tiny.build()
    default = DefaultOptimWrapperConstructor(
        {k: v for k, v in CONFIG.items() if k != 'paramwise_cfg'},
        CONFIG['paramwise_cfg'],
    )(model)
    before = warnings()

    ours = build_optim_wrapper(
        model, {**CONFIG, 'constructor': 'TrainedOnlyConstructor'}
    )

    assert groups(model, ours) == groups(model, default)
    decays = {group['weight_decay'] for group in ours.optimizer.param_groups}
    assert decays == {0.0, 1e-4}
    assert not any(
        'requires_grad' in text for text in warnings()[len(before) :]
    )
