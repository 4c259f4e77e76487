"""From a command line to a Runner."""

import argparse
import os

import pytest
from mmengine.config import Config
from torch.utils.data import DataLoader

from sce_mm.cli import runner as launch
from sce_mm.cli.arguments import add_common_arguments
from sce_mm.cli.resume import refuse_overwriting
from sce_mm.cli.runner import load_config, require_batches, scale_learning_rate
from sce_mm.config.names import ConfigError
from sce_mm.datasets import SeededSampler
from sce_mm.utils.errors import UserError
from tests.helpers.tiny_runner import TinyImages, build_runner, repeated


def parse(*words):
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    add_common_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'some_config.py'
    path.write_text('model = dict(type="SCE", depth=dict(number=1))\n')
    return str(path)


def test_work_dir_is_named_after_the_config(config):
    assert load_config(parse(config)).work_dir == 'work_dirs/some_config'
    assert load_config(parse(config, '--work-dir', 'x')).work_dir == 'x'


def test_overrides_reach_nested_keys(config):
    args = parse(config, '--cfg-options', 'model.depth.number=18')
    assert load_config(args).model.depth.number == 18


def test_an_override_that_cannot_be_made_is_explained(config, capsys):
    with pytest.raises(SystemExit):
        parse(config, '--cfg-options', 'model.depth', '=', '3')
    assert 'takes key=value, without spaces around' in capsys.readouterr().err
    args = parse(config, '--cfg-options', 'model.depth.number.more=1')
    with pytest.raises(ConfigError, match='--cfg-options: number='):
        load_config(args)


def test_a_missing_config_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='recipes are under'):
        load_config(parse(str(tmp_path / 'none.py')))


@pytest.mark.integration
def test_fewer_images_than_a_batch_are_refused(tmp_path):
    loader = DataLoader(TinyImages(3), batch_size=4, drop_last=True)
    runner, _ = build_runner(tmp_path, train_dataloader=loader)
    with pytest.raises(ValueError, match='3 images are not one full batch'):
        require_batches(runner)


@pytest.mark.integration
def test_repetitions_do_not_make_a_batch_of_images(tmp_path):
    data = repeated(TinyImages(3), 4)
    loader = DataLoader(
        data, batch_size=4, drop_last=True, sampler=SeededSampler(data, seed=0)
    )
    runner, _ = build_runner(tmp_path, train_dataloader=loader)
    with pytest.raises(ValueError, match='3 images are not one full batch'):
        require_batches(runner)


@pytest.mark.integration
def test_the_learning_rate_follows_the_real_batch(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(
        launch, 'print_log', lambda text, **_: said.append(text)
    )
    asked = {'enable': True, 'base_batch_size': 16}
    runner, _ = build_runner(
        tmp_path, accumulate=3, param_scheduler=None, auto_scale_lr=asked
    )
    config = runner.optim_wrapper
    scale_learning_rate(runner)
    assert said == [
        '--auto-scale-lr: learning rate 0.3 -> 0.225, as the batch is 12 '
        'images (1 process(es) x 4 x 3 accumulated) and that of the config 16'
    ]
    # The config of the recipe is as it was, or a copy would be scaled twice.
    assert config['optimizer']['lr'] == 0.3
    runner.train()
    assert runner.optim_wrapper.get_lr()['lr'] == pytest.approx([0.225])


@pytest.mark.integration
@pytest.mark.parametrize('asked', [None, {'base_batch_size': 16}])
def test_the_learning_rate_stays_unless_asked(tmp_path, asked):
    runner, _ = build_runner(tmp_path, auto_scale_lr=asked)
    scale_learning_rate(runner)
    assert runner.optim_wrapper['optimizer']['lr'] == 0.3


@pytest.mark.parametrize(
    ('files', 'words', 'named'),
    [
        ([], '', None),
        (['20260101_000000/run.log', 'config.py'], '', None),
        (['backbone.pth'], '', None),
        (['epoch_150.pth', 'epoch_149.pth'], '', 'epoch 150'),
        (['iter_12.pth'], '', 'iteration 12'),
        (['stopped_at_iter_7.pth'], '', 'iteration 7'),
        (['mine_3.pth'], '', 'mine_3.pth'),
        (['epoch_150.pth'], 'resume', None),
        (['epoch_150.pth'], 'load_from', 'epoch 150'),
        (['epoch_150.pth'], '{work}/epoch_150.pth', None),
        (['epoch_150.pth'], '{work}/../other/epoch_3.pth', 'another one'),
        ([], '{work}/../other/epoch_3.pth', None),
    ],
)
def test_a_run_is_not_written_over(tmp_path, files, words, named):
    work = tmp_path / 'work'
    for age, name in enumerate(files):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).touch()
        os.utime(work / name, (1000 - age, 1000 - age))
    source = words.format(work=work) if '{' in words else None
    if words == 'load_from':
        source = 'other.pth'
    cfg = Config(
        {
            'work_dir': str(work),
            'resume': words not in ('', 'load_from'),
            'load_from': source,
            'default_hooks': {
                'checkpoint': {
                    'type': 'CheckpointHook',
                    'filename_tmpl': 'mine_{}.pth',
                    # They go there, in a folder named after the work dir.
                    'out_dir': str(tmp_path) if len(files) == 2 else None,
                }
            },
        }
    )
    if named is None:
        refuse_overwriting(cfg)
        return
    with pytest.raises(UserError) as error:
        refuse_overwriting(cfg)
    for part in (named, str(work), '--resume', '--work-dir'):
        assert part in str(error.value)
