"""Every recorded number of the official implementation is ours too."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.integration


@pytest.fixture
def tool(root, monkeypatch, capsys):
    """Run the tool's main in this process: status, stdout, stderr."""
    monkeypatch.syspath_prepend(root / 'tools' / 'analysis_tools')
    before = torch.get_default_dtype()

    def run(*traces):
        from replay_trace import main

        monkeypatch.setattr(sys, 'argv', ['replay', *map(str, traces)])
        status = main()
        return status, *capsys.readouterr()

    yield run
    torch.set_default_dtype(before)


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


def test_all_traces_agree_to_nine_digits(root):
    traces = sorted((root / 'tests' / 'data' / 'traces').glob('*.npz'))
    assert len(traces) == 5
    program = root / 'tools' / 'analysis_tools' / 'replay_trace.py'
    result = subprocess.run(
        [sys.executable, str(program), *map(str, traces)],
        capture_output=True,
        text=True,
        cwd=root,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count(': ok, largest deviation') == 5


def test_a_deviation_is_found_and_named(tool, root, tmp_path):
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
    status, stdout, _ = tool(loss, coeff, weights)
    assert status == 1
    assert stdout.count('DIFFERS') == 3


def test_what_is_no_trace_is_refused(tool, tmp_path):
    path = tmp_path / 'other.npz'
    np.savez(path, a=np.zeros(3))
    status, _, stderr = tool(path, tmp_path / 'missing.npz')
    assert status == 1
    assert stderr.count('not a trace') == 2


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'num_splits': 2}, 'no such option of the model here: num_splits=2'),
        ({'scheduler_momentum': 'step'}, "unknown schedule 'step'"),
        (
            {'warmup_epoch_coeff': 9},
            'last 72 optimiser steps but the run has 8',
        ),
    ],
)
def test_what_we_do_not_have_is_refused(
    tool, root, tmp_path, changes, message
):
    source = root / 'tests' / 'data' / 'traces' / 'symmetric.npz'
    path = edited(source, tmp_path / 'x.npz', model=changes)
    status, _, stderr = tool(path)
    assert status == 1
    assert message in stderr
