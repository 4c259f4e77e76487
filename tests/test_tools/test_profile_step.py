"""The stages of a step are timed, and the advice follows from them."""

import importlib
import json
import sys

import pytest
import torch
from image_files import write_noise
from mmengine.optim import build_optim_wrapper
from recipes import TINY_FOLDER
from tiny import build, views

TRANSFORMS = {'LoadImage': 0.004, 'SCEViews': 0.006}
QUIET = dict.fromkeys(
    (
        'data wait',
        'transfer',
        'target',
        'forward',
        'loss',
        'backward',
        'optimiser',
        'average',
        'enqueue',
    ),
    0.01,
)


@pytest.fixture
def tool(root, monkeypatch):
    """``tool(name)``: a tool, or a module of sce_mm.analysis."""
    monkeypatch.syspath_prepend(str(root / 'tools' / 'analysis_tools'))

    def load(name):
        if name in ('estimate', 'profile_step'):
            return importlib.import_module(name)
        return importlib.import_module(f'sce_mm.analysis.{name}')

    return load


def advice(tool, cores=8, workers=2, precision='bfloat16', **stages):
    return tool('advice').advise(
        QUIET | {'backward': 1.0} | stages,
        TRANSFORMS,
        batch=200,
        workers=workers,
        cores=cores,
        precision=precision,
        channels_last=True,
    )


def test_a_step_that_waits_for_data_is_told_how_many_workers(tool):
    # 200 images of 10 ms are 2 s of work for a step of 1.07 s.
    (text,) = advice(tool, workers=1, **{'data wait': 1.0})
    assert 'needs 2 worker(s); there are 1: set train_dataloader.num_' in text
    assert 'SCEViews 60% of it' in text
    (text,) = advice(tool, cores=1, workers=1, **{'data wait': 1.0})
    assert 'this machine has 1 cores' in text
    (text,) = advice(tool, workers=4, **{'data wait': 1.0})
    assert 'That should do' in text


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'precision': 'float32'}, '--amp bfloat16'),
        ({'loss': 1.0}, 'model.queue.length'),
        ({'optimiser': 1.0}, 'accumulative_counts'),
        ({'transfer': 1.0}, 'pin_memory=True'),
        ({}, 'nothing stands out'),
    ],
)
def test_each_stage_has_its_remedy(tool, change, words):
    (text,) = advice(tool, **change)
    assert words in text


def test_every_stage_is_timed_once_and_numbers_stay(tool):
    stages = tool('stages')
    data = {'inputs': views(6), 'data_samples': None}
    states = []
    for timed in (False, True):
        model = build(batch_norm=True)
        optim_wrapper = build_optim_wrapper(
            model, {'optimizer': {'type': 'SGD', 'lr': 0.1}}
        )
        clock = stages.StageClock()
        if timed:
            stages.time_stages(model, optim_wrapper, clock)
        stages.take_steps(model, optim_wrapper, iter([data] * 3), clock, 3)
        states.append(model.state_dict())
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
    medians = clock.medians(skip=1)
    assert tuple(medians) == stages.STAGES
    assert all(seconds > 0 for seconds in medians.values())


@pytest.mark.integration
def test_a_config_is_profiled(tool, root, tmp_path, monkeypatch, capsys):
    write_noise(tmp_path, 5)
    config = root / 'configs/sce/sce_resnet18_1xb64-coslr-200e_folder.py'
    out = tmp_path / 'profile.json'
    arguments = ['--data', str(tmp_path), '--steps', '2', '--images', '3']
    arguments += ['--json', str(out), '--cfg-options', *TINY_FOLDER]
    monkeypatch.setattr(sys, 'argv', ['tool', str(config), *arguments])
    tool('profile_step').main()
    report = json.loads(out.read_text())
    assert set(report['transforms']) >= {'LoadImage', 'SCEViews'}
    assert report['batch'] == 4
    printed = capsys.readouterr().out
    assert all(name in printed for name in report['stages'])
    assert all(f'- {text}' in printed for text in report['advice'])


def test_no_tool_hides_a_module_of_python(root):
    # The folder of a script comes first where it and its siblings import.
    names = {path.stem for path in (root / 'tools').rglob('*.py')}
    assert not names & sys.stdlib_module_names
