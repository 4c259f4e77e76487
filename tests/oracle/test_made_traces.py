"""Our model reproduces runs that a second implementation makes.

`trace_maker.py` knows the equations and imports nothing of the package. It
must first reproduce the recorded runs of the official implementation.
"""

import json

import numpy as np
import pytest
import replay_trace
import torch
import trace_maker

pytestmark = pytest.mark.integration

RECORDED = (
    'asymmetric',
    'inbatch_queue',
    'multicrop',
    'schedules',
    'symmetric',
)


def mlp(inputs, *hidden, norm='bn_1D', **options):
    last = {'bias': False, 'last_bias': True, 'last_norm': False}
    return {
        'input_dim': inputs,
        'hidden_dims': list(hidden),
        'num_layers': len(hidden) + 1,
        'output_dim': 8,
        'norm_layer': norm,
        'last_affine': False,
        **last,
        **options,
    }


SGD = {'momentum': 0.9, 'nesterov': False, 'weight_decay': 5e-4}
LARS = {'momentum': 0.8, 'trust_coefficient': 2e-3, 'weight_decay': 1e-2}
MODEL = {
    'coeff': 0.5,
    'temp': 0.1,
    'temp_m': 0.05,
    'initial_momentum': 0.9,
    'scheduler_momentum': 'constant',
}
SPEC = {
    'batch': 6,
    'epochs': 2,
    'steps_per_epoch': 3,
    'sizes': [8, 8],
    'projector': mlp(32, 12),
    'predictor': None,
    'queue': 24,
    'optim': {'name': 'sgd', 'initial_lr': 0.1, 'params': SGD},
}
DEEP = mlp(32, 12, 12, last_bias=False, last_norm=True)
PREDICTOR = mlp(8, 12, last_bias=False)

# What differs from SPEC, and, under model, from MODEL.
CASES = {
    'lambda 0': {'model': {'coeff': 0.0}},
    'lambda 1': {'model': {'coeff': 1.0}},
    'in-batch keys, symmetric': {
        'model': {'use_keys': True, 'sym': True, 'temp': 0.2},
        'predictor': PREDICTOR,
    },
    'in-batch keys without queue, symmetric multi-crop': {
        'model': {'use_keys': True, 'sym': True, 'num_local_crops': 2},
        'queue': None,
        'sizes': [8, 8, 6, 4],
        'projector': DEEP,
        'predictor': PREDICTOR,
    },
    'asymmetric multi-crop': {
        'model': {'num_local_crops': 2},
        'sizes': [8, 8, 6, 4],
    },
    'lars, cosine momentum': {
        'model': {'scheduler_momentum': 'cosine', 'initial_momentum': 0.6},
        'optim': {'name': 'lars', 'initial_lr': 9.6, 'params': LARS},
        'epochs': 1,
        'steps_per_epoch': 7,
        'batch': 4,
    },
    'rising schedules': {
        # Their linear schedule runs backwards when it should rise.
        'model': {
            'warmup_epoch_temp_m': 1,
            'start_warmup_temp_m': 0.02,
            'warmup_scheduler_temp_m': 'linear',
            'warmup_epoch_coeff': 2,
            'start_warmup_coeff': 0.1,
            'warmup_scheduler_coeff': 'cosine',
            'scheduler_coeff': 'linear',
            'final_scheduler_coeff': 0.9,
        },
        'epochs': 4,
        'steps_per_epoch': 2,
    },
    'biases and no norm': {
        'projector': mlp(32, 12, norm=None, bias=True),
        'predictor': mlp(8, 12, norm=None, bias=True),
    },
    'norm with affine last': {
        'projector': mlp(32, 12, last_norm=True, last_affine=True),
        'predictor': mlp(8, 12, last_norm=True),
    },
    'a long queue': {'queue': 600, 'batch': 3},
}


@pytest.fixture
def replay():
    """The tool's own function, in double precision."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield replay_trace.replay
    torch.set_default_dtype(before)


@pytest.mark.parametrize('name', RECORDED)
def test_the_maker_reproduces_the_official_runs(root, name):
    path = root / 'tests' / 'oracle' / 'traces' / f'{name}.npz'
    with np.load(path) as file:
        arrays = dict(file)
    made = trace_maker.run(json.loads(str(arrays['spec'])), arrays)
    recorded = {k for k in arrays if k.startswith(('step.', 'final.'))}
    assert set(made) == recorded
    for key in recorded:
        np.testing.assert_allclose(
            made[key], arrays[key], rtol=0, atol=1e-9, err_msg=key
        )


def test_the_tool_reproduces_another_seed_of_the_official_settings(
    replay, root, tmp_path
):
    source = root / 'tests' / 'oracle' / 'traces' / 'symmetric.npz'
    with np.load(source) as file:
        spec = json.loads(str(file['spec']))
    np.savez(tmp_path / 'x.npz', **trace_maker.make_trace(spec, seed=20))
    assert max(replay(tmp_path / 'x.npz').values()) < 1e-9


@pytest.mark.parametrize('case', CASES)
def test_the_tool_reproduces(replay, tmp_path, case):
    spec = SPEC | CASES[case]
    spec['model'] = MODEL | spec.get('model', {})
    trace = trace_maker.make_trace(spec, seed=len(case))
    # A step that changed nothing would prove nothing.
    assert np.ptp(trace['step.loss']) > 1e-3
    np.savez(tmp_path / 'x.npz', **trace)
    largest = replay(tmp_path / 'x.npz')
    assert max(largest.values()) < 1e-9, largest
    expected = {'loss', 'coeff', 'temp_m', 'trunk parameters'}
    assert expected | ({'queue'} if spec['queue'] else set()) <= set(largest)
