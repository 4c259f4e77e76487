"""The stages of a step are timed, and the advice follows from them."""

import json
import sys

import pytest
import torch
from image_files import write_noise
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from recipes import TINY_FOLDER
from tiny import build, views

from sce_mm.analysis import step_profile
from sce_mm.cli.commands import profile
from sce_mm.config.overrides import override

QUIET = dict.fromkeys(step_profile.STAGES, 0.01)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        # 200 images of 10 ms are 2 s of work for a step of 1.07 s.
        ({'data wait': 1.0}, 'train_dataloader.num_workers=2,'),
        ({'loss': 1.0}, 'model.queue.length'),
        ({'optimiser': 1.0}, 'accumulative_counts'),
        ({'transfer': 1.0}, 'pin_memory=True'),
        ({}, '--amp bfloat16'),
    ],
)
def test_each_stage_has_its_advice(change, words):
    transforms = {'LoadImage': 0.004, 'SCEViews': 0.006}
    advice = step_profile.advise(
        QUIET | {'backward': 1.0} | change, transforms, batch=200, workers=1
    )
    assert words in advice[0]


def test_every_stage_is_timed_once_and_numbers_stay():
    data = {'inputs': views(6), 'data_samples': None}
    states = []
    for timed in (False, True):
        model = build(batch_norm=True)
        optim_wrapper = build_optim_wrapper(
            model, {'optimizer': {'type': 'SGD', 'lr': 0.1}}
        )
        clock = step_profile.StageClock()
        if timed:
            step_profile.time_stages(model, optim_wrapper, clock)
        step_profile.take_steps(
            model, optim_wrapper, iter([data] * 3), clock, 3
        )
        states.append(model.state_dict())
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
    medians = clock.medians(skip=1)
    assert tuple(medians) == step_profile.STAGES
    assert all(seconds > 0 for seconds in medians.values())


@pytest.mark.integration
@pytest.mark.parametrize('joined', [False, True])
@pytest.mark.parametrize('regions', [[], ['--regions', '16']])
def test_a_config_is_profiled(root, tmp_path, capsys, joined, regions):
    write_noise(tmp_path, 5)
    recipe = root / 'configs/sce/sce_resnet18_1xb64-coslr-200e_folder.py'
    cfg = Config.fromfile(recipe)
    override(cfg, TINY_FOLDER)
    cfg.train_dataloader.dataset.data_root = str(tmp_path)
    if joined:
        part = cfg.train_dataloader.dataset
        cfg.train_dataloader.dataset = dict(
            type='ConcatDataset', datasets=[part, part]
        )
    config, out = tmp_path / 'config.py', tmp_path / 'profile.json'
    cfg.dump(config)
    words = [str(config), *regions, '--steps', '2', '--images', '3']
    profile.main([*words, '--json', str(out)])
    report = json.loads(out.read_text())
    names = {'LoadImage', 'SCEViews', *['CutRegion'] * bool(regions)}
    assert set(report['transforms']) >= names
    assert report['batch'] == 4
    printed = capsys.readouterr().out
    assert all(name in printed for name in report['stages'])
    assert all(f'- {text}' in printed for text in report['advice'])


def test_no_tool_hides_a_module_of_python(root):
    # The folder of a script comes first where it and its siblings import.
    names = {path.stem for path in (root / 'tools').rglob('*.py')}
    assert not names & sys.stdlib_module_names
