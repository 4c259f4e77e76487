"""Every recorded number of the official implementation is ours too."""

import json
import sys

import numpy as np
import pytest
import replay_trace
import torch

pytestmark = pytest.mark.integration


@pytest.fixture
def tool(monkeypatch, capsys):
    """Run the tool's main in this process: status, stdout, stderr."""
    before = torch.get_default_dtype()

    def run(*traces):
        monkeypatch.setattr(sys, 'argv', ['replay', *map(str, traces)])
        return replay_trace.main(), *capsys.readouterr()

    yield run
    torch.set_default_dtype(before)


def edited(source, target, **changes):
    """A copy of a trace with other arrays or another spec."""
    with np.load(source) as file:
        arrays = dict(file)
    spec = json.loads(str(arrays['spec']))
    for key, value in changes.items():
        if isinstance(value, dict):
            spec[key] = spec.get(key, {}) | value
        elif not callable(value):
            spec[key] = value
        else:
            arrays[key.replace('__', '.')] = value(arrays)
    arrays['spec'] = np.array(json.dumps(spec))
    np.savez(target, **arrays)
    return target


def test_all_traces_agree_to_nine_digits(tool, root):
    traces = sorted((root / 'tests' / 'oracle' / 'traces').glob('*.npz'))
    assert len(traces) == 5
    status, stdout, stderr = tool(*traces)
    assert status == 0, stdout + stderr
    assert stdout.count(': ok, largest deviation') == 5


def test_a_deviation_is_found_and_named(tool, root, tmp_path):
    source = root / 'tests' / 'oracle' / 'traces' / 'symmetric.npz'
    loss = edited(
        source,
        tmp_path / 'loss.npz',
        step__loss=lambda a: a['step.loss'] + 1e-7,
    )
    coeff = edited(source, tmp_path / 'coeff.npz', model={'coeff': 0.501})
    status, stdout, _ = tool(loss, coeff)
    assert status == 1
    assert stdout.count('DIFFERS') == 2


def test_what_is_no_trace_is_refused(tool, tmp_path):
    path = tmp_path / 'other.npz'
    np.savez(path, a=np.zeros(3))
    status, _, stderr = tool(path, tmp_path / 'missing.npz')
    assert status == 1
    assert stderr.count('not a trace') == 2


def nothing(arrays):
    return np.zeros(8)


@pytest.mark.parametrize(
    ('changes', 'parts'),
    [
        # Options of the official model, heads and optimiser.
        ({'model': {'num_splits': 2}}, ['the model', 'num_splits=2', '0']),
        ({'model': {'temperature': 0.1}}, ['the model', 'temperature=0.1']),
        ({'model': {'scheduler_momentum': 'step'}}, ["schedule 'step'"]),
        (
            {'predictor': {'activation_layer': 'gelu'}},
            ['predictor', "activation_layer='gelu'", "'relu'"],
        ),
        ({'optim': {'params': {'betas': [0.9]}}}, ['betas']),
        # Entries of the spec and of the file.
        ({'accumulate': 2}, ['the spec', 'accumulate=2']),
        ({'epochs': 2}, ['step.', '8 steps', '16']),
        ({'queue': 64}, ['init.queue', '64', '128']),
        ({'view2': nothing}, ['the file', 'view2']),
        ({'init__trunk__9__weight': nothing}, ['init.trunk.9.weight']),
    ],
    ids=lambda x: next(iter(x)) if isinstance(x, dict) else '',
)
def test_what_would_be_left_out_is_refused(
    tool, root, tmp_path, changes, parts
):
    source = root / 'tests' / 'oracle' / 'traces' / 'symmetric.npz'
    path = edited(source, tmp_path / 'x.npz', **changes)
    status, stdout, stderr = tool(path)
    assert status == 1
    assert 'DIFFERS' not in stdout
    assert 'cannot be replayed' in stderr
    for part in parts:
        assert part in stderr


@pytest.mark.parametrize('gone', ['view1', 'step.lr'])
def test_what_is_missing_is_named(tool, root, tmp_path, gone):
    source = root / 'tests' / 'oracle' / 'traces' / 'symmetric.npz'
    with np.load(source) as file:
        arrays = {name: file[name] for name in file if name != gone}
    np.savez(tmp_path / 'x.npz', **arrays)
    status, stdout, stderr = tool(tmp_path / 'x.npz')
    assert status == 1
    assert 'DIFFERS' not in stdout
    assert f'lacks {gone}' in stderr
