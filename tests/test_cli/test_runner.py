"""From a command line to a Runner."""

import os
import shutil
from types import SimpleNamespace

import pytest
from mmengine.config import Config
from torch import nn
from torch.utils.data import DataLoader

import sce_mm.cli.learning_rate
import sce_mm.cli.quiet_runner
from sce_mm.cli.arguments import ArgumentParser, add_run_arguments
from sce_mm.cli.config_edits import load_config
from sce_mm.cli.learning_rate import scale_learning_rate
from sce_mm.cli.quiet_runner import FirstWordsHook
from sce_mm.cli.run_start import refuse_overwriting, require_space
from sce_mm.cli.training_images import require_batches
from sce_mm.config import ConfigError
from sce_mm.datasets import SeededSampler
from sce_mm.utils.errors import UserError
from tests.helpers.tiny_runner import TinyImages, build_runner, repeated


def parse(*words):
    parser = ArgumentParser(None)
    parser.add_argument('config')
    add_run_arguments(parser)
    return parser.parse_args(words)


def test_options_are_written_into_the_config(tmp_path, capsys):
    path = tmp_path / 'some_config.py'
    path.write_text('model = dict(type="SCE", depth=dict(number=1))\n')
    config = str(path)
    assert load_config(parse(config)).work_dir == 'work_dirs/some_config'
    assert load_config(parse(config, '--work-dir', 'x')).work_dir == 'x'
    args = parse(config, '--cfg-options', 'model.depth.number=18')
    assert load_config(args).model.depth.number == 18
    args = parse(config, '--cfg-options', 'model.depth.number.more=1')
    with pytest.raises(
        ConfigError, match=r'depth\.number is 1, which has nothing'
    ):
        load_config(args)
    with pytest.raises(SystemExit):
        parse(config, '--cfg-options', 'model.depth', '=', '3')
    assert 'takes key=value, without spaces around' in capsys.readouterr().err
    with pytest.raises(FileNotFoundError, match='no config at'):
        load_config(parse(str(tmp_path / 'none.py')))


@pytest.mark.integration
def test_repetitions_do_not_make_a_batch_of_images(tmp_path):
    data = repeated(TinyImages(3), 4)
    loader = DataLoader(
        data, batch_size=4, drop_last=True, sampler=SeededSampler(data, seed=0)
    )
    runner, _ = build_runner(tmp_path, train_dataloader=loader)
    with pytest.raises(ValueError, match=r'full batch \(3 of '):
        require_batches(runner)


@pytest.fixture
def lines(monkeypatch):
    """What is said of the learning rate."""
    said = []
    module = sce_mm.cli.learning_rate
    monkeypatch.setattr(module, 'warn', said.append)
    monkeypatch.setattr(
        module, 'print_log', lambda text, **_: said.append(text)
    )
    return said


@pytest.mark.integration
@pytest.mark.parametrize(
    ('kind', 'rate', 'reason'),
    [('SGD', 0.225, 'in proportion'), ('AdamW', 0.2598076211, 'square root')],
)
def test_the_learning_rate_follows_the_real_batch(
    tmp_path, lines, kind, rate, reason
):
    runner, _ = build_runner(
        tmp_path,
        accumulate=3,
        param_scheduler=None,
        auto_scale_lr={'enable': True, 'base_batch_size': 16},
    )
    config = runner.optim_wrapper
    config['optimizer'] = {'type': kind, 'lr': 0.3}
    scale_learning_rate(runner)
    for part in (f'learning rate 0.3 -> {rate:g}', reason, '12 images'):
        assert part in lines[0]
    assert runner.optim_wrapper['optimizer']['lr'] == pytest.approx(rate)


@pytest.mark.integration
@pytest.mark.parametrize('enable', [True, False])
@pytest.mark.parametrize('found', [True, False])
def test_a_run_that_goes_on_is_told_of_no_other_rate(
    tmp_path, lines, enable, found
):
    runner, _ = build_runner(
        tmp_path,
        param_scheduler=None,
        auto_scale_lr={'enable': enable, 'base_batch_size': 16},
    )
    runner.cfg.work_dir = str(tmp_path)
    runner.cfg.resume = True
    if found:
        (tmp_path / 'epoch_1.pth').touch()
    scale_learning_rate(runner)
    assert len(lines) == (not found)


@pytest.mark.integration
@pytest.mark.parametrize(('base', 'told'), [(16, 1), (12, 0)])
def test_a_rate_for_another_batch_is_named(tmp_path, lines, base, told):
    runner, _ = build_runner(
        tmp_path,
        accumulate=3,
        auto_scale_lr={'enable': False, 'base_batch_size': base},
    )
    rate = runner.optim_wrapper['optimizer']['lr']
    scale_learning_rate(runner)
    assert runner.optim_wrapper['optimizer']['lr'] == rate
    assert len(lines) == told
    assert all('12 images' in line and 'config 16' in line for line in lines)


@pytest.mark.integration
@pytest.mark.parametrize(
    ('interval', 'seconds', 'said'),
    [(5, 0, 1), (1, 0, 0), (5, float('inf'), 0)],
)
def test_slow_steps_are_told_of_once_before_the_log_begins(
    tmp_path, monkeypatch, interval, seconds, said
):
    monkeypatch.setattr(sce_mm.cli.quiet_runner, 'LINE_SECONDS', seconds)
    runner, _ = build_runner(
        tmp_path,
        log_level='INFO',
        default_hooks={'logger': {'type': 'LoggerHook', 'interval': interval}},
    )
    runner.register_hook(FirstWordsHook())
    lines = []
    monkeypatch.setattr(runner.logger, 'info', lines.append)
    runner.train()
    told = [line for line in lines if line.startswith('iteration 1 of 8, ')]
    assert len(told) == said
    if said:
        assert told[0].endswith('the log has a line every 5 iterations')


@pytest.mark.parametrize(
    ('files', 'words', 'named'),
    [
        (['run.log', 'backbone.pth'], '', None),
        (['epoch_150.pth', 'epoch_149.pth'], '', 'epoch_150.pth'),
        (['stopped_at_iter_7.pth'], '', 'stopped_at_iter_7.pth'),
        (['mine_3.pth'], '', 'mine_3.pth'),
        (['epoch_150.pth'], 'resume', None),
        (['epoch_150.pth'], 'load_from', 'epoch_150.pth'),
        (['epoch_150.pth'], '{work}/epoch_150.pth', None),
        (['epoch_150.pth'], '{work}/../other/epoch_3.pth', 'another one'),
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


@pytest.mark.parametrize(
    ('free', 'out_dir', 'fits'),
    [(39, None, False), (40, None, True), (39, 's3://bucket', True)],
)
def test_a_checkpoint_must_fit_on_the_disk(
    tmp_path, monkeypatch, free, out_dir, fits
):
    monkeypatch.setattr(
        shutil, 'disk_usage', lambda _: SimpleNamespace(free=free)
    )
    hook = dict(type='CheckpointHook', out_dir=out_dir)
    cfg = Config(
        dict(work_dir=str(tmp_path), default_hooks=dict(checkpoint=hook))
    )
    # Ten numbers of four bytes.
    runner = SimpleNamespace(cfg=cfg, model=nn.Linear(4, 2))
    if fits:
        require_space(runner)
    else:
        with pytest.raises(UserError, match='free space, or name a folder'):
            require_space(runner)
