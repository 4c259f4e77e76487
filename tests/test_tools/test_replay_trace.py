"""Every recorded number of the official implementation is ours too."""

import json
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.integration


@pytest.fixture
def replay(root):
    def run(*traces):
        tool = root / 'tools' / 'analysis_tools' / 'replay_trace.py'
        return subprocess.run(
            [sys.executable, str(tool), *map(str, traces)],
            capture_output=True,
            text=True,
            cwd=root,
        )

    return run


def edited(source, target, **changes):
    """A copy of a trace with other arrays or another spec."""
    with np.load(source) as file:
        arrays = dict(file)
    spec = json.loads(str(arrays['spec']))
    for key, value in changes.items():
        if isinstance(value, dict):
            spec[key] = spec[key] | value
        else:
            arrays[key.replace('__', '.')] = value(arrays)
    arrays['spec'] = np.array(json.dumps(spec))
    np.savez(target, **arrays)
    return target


def test_all_traces_agree_to_nine_digits(replay, root):
    traces = sorted((root / 'tests' / 'data' / 'traces').glob('*.npz'))
    assert len(traces) == 5
    result = replay(*traces)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count(': ok, largest deviation') == 5


def test_a_deviation_is_found_and_named(replay, root, tmp_path):
    source = root / 'tests' / 'data' / 'traces' / 'symmetric.npz'
    loss = edited(
        source,
        tmp_path / 'loss.npz',
        step__loss=lambda a: a['step.loss'] + 1e-7,
    )
    coeff = edited(source, tmp_path / 'coeff.npz', model={'coeff': 0.501})
    weights = edited(
        source,
        tmp_path / 'weights.npz',
        **{
            'final__momentum_trunk__4__weight': lambda a: (
                a['final.momentum_trunk.4.weight'] * (1 + 1e-6)
            )
        },
    )
    result = replay(loss, coeff, weights)
    assert result.returncode == 1
    assert result.stdout.count('DIFFERS') == 3


def test_what_is_no_trace_is_refused(replay, tmp_path):
    path = tmp_path / 'other.npz'
    np.savez(path, a=np.zeros(3))
    result = replay(path, tmp_path / 'missing.npz')
    assert result.returncode == 1
    assert result.stderr.count('not a trace') == 2


def test_unknown_options_are_refused(replay, root, tmp_path):
    source = root / 'tests' / 'data' / 'traces' / 'symmetric.npz'
    path = edited(source, tmp_path / 'x.npz', model={'num_splits': 2})
    result = replay(path)
    assert result.returncode == 1
    assert 'no such option of the model here: num_splits=2' in (result.stderr)
