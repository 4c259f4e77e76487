"""A work dir that a training has used, and sce train there once more."""

import sys

import pytest
from fresh_names import forget_runners
from image_files import write_noise

from sce_mm.checkpoints.mmengine_loading import read_resumable
from sce_mm.checkpoints.recorded_config import recorded_config
from sce_mm.cli.commands import train
from sce_mm.cli.exit import message_of
from sce_mm.utils.errors import UserError

pytestmark = [
    pytest.mark.integration,
    # Two runs that begin in one second have one name, and one scope.
    pytest.mark.filterwarnings(
        'ignore:.*DefaultScope.* has been created:UserWarning'
    ),
]

# A network and images that take a second an epoch.
TINY = """
_base_ = "{root}/configs/sce/sce_resnet18_1xb64-coslr-200e_folder.py"
model = dict(
    backbone=dict(base_channels=8),
    neck=dict(in_channels=64, hid_channels=32, out_channels=16),
    queue=dict(length=16),
)
_base_.train_dataloader.dataset.pipeline[1].views = [
    dict(augmentation='weak', size=32), dict(augmentation='strong', size=32),
]
_base_.train_dataloader.num_workers = 0
_base_.train_dataloader.persistent_workers = False
train_dataloader = dict(batch_size=4)
"""


@pytest.fixture
def desk(root, tmp_path, monkeypatch):
    """The current folder, with a config and two folders of images."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'tiny.py').write_text(TINY.replace('{root}', str(root)))
    for name in ('img', 'others'):
        (tmp_path / name).mkdir()
        write_noise(tmp_path / name, 8)
    return tmp_path


@pytest.fixture
def sce_train(desk, monkeypatch, capfd):
    """``sce_train(line)``: what it says, or its error."""
    # What a command holds ends with it.
    monkeypatch.setattr(sys, 'stdout', sys.stdout)

    def call(line):
        stream = sys.stdout
        capfd.readouterr()
        try:
            train.main(line.split())
        except (UserError, OSError) as error:
            return f'error: {message_of(error)}'
        finally:
            forget_runners()
            sys.stdout = stream
        out, err = capfd.readouterr()
        return out + err

    return call


def text_files(folder):
    """Texts of the files of a run that its user may read and use again."""
    names = ('tiny.py', 'commands.txt', 'last_checkpoint')
    return {name: (folder / name).read_text() for name in names}


def test_a_refused_run_changes_nothing_of_the_one_before(desk, sce_train):
    said = sce_train('tiny.py --data img --epochs 1 --work-dir run')
    assert 'backbone: ' in said, said
    before = text_files(desk / 'run')
    assert 'data_root="img"' in before['tiny.py'].replace("'", '"')
    assert len(before['commands.txt'].splitlines()) == 2
    said = sce_train(
        'tiny.py --data others --epochs 2 --work-dir run --resume'
    )
    assert said.startswith('error: the checkpoint is of a run of')
    assert text_files(desk / 'run') == before


def stopped(folder):
    """Let the newest checkpoint be one of a run that was stopped."""
    (folder / 'last_checkpoint').unlink()
    newest = max(folder.glob('epoch_*.pth'), key=lambda p: p.stat().st_mtime)
    newest.unlink()


def schedule_of(folder):
    """Warm-up and length of a run, by its newest checkpoint, and its rates."""
    (path,) = {
        folder / (folder / 'last_checkpoint').read_text().rpartition('/')[2]
    }
    content = read_resumable(path)
    cfg = recorded_config(content)
    epochs = cfg['train_cfg']['max_epochs']
    return cfg['param_scheduler']['warmup_epochs'], epochs


def test_a_longer_run_is_planned_as_one_of_that_length(desk, sce_train):
    """From the recipe, from the config of the work dir, and interrupted."""
    run = desk / 'run'
    line = 'tiny.py --data img --work-dir run'
    sce_train(f'{line} --epochs 1')
    said = sce_train(f'{line} --continue-for 1')
    assert '--continue-for 1: train_cfg.max_epochs 200 -> 2' in said, said
    assert schedule_of(run) == (0.05, 2)
    more = '--continue-for 2 --cfg-options default_hooks.checkpoint.interval=1'
    for again in ('run/tiny.py', line, 'run/tiny.py'):
        said = sce_train(f'{again} {more}')
        assert schedule_of(run) == (0.1, 4), said
        stopped(run)
    sce_train('run/tiny.py --resume')
    assert schedule_of(run) == (0.1, 4)


def test_a_longer_run_keeps_the_schedule_that_was_typed(desk, sce_train):
    line = 'tiny.py --data img --work-dir run'
    typed = '--cfg-options train_cfg.max_epochs=2'
    sce_train(f'{line} {typed} param_scheduler.warmup_epochs=1')
    sce_train(f'{line} --continue-for 2')
    assert schedule_of(desk / 'run') == (2, 4)
    sce_train(
        f'{line} --continue-for 1 --cfg-options '
        'param_scheduler.warmup_epochs=0.5'
    )
    assert schedule_of(desk / 'run') == (0.5, 5)


def test_a_complete_run_says_so(desk, sce_train):
    line = 'tiny.py --data img --work-dir run --epochs 1'
    sce_train(line)
    before = text_files(desk / 'run')
    said = sce_train(f'{line} --resume')
    assert 'run: the run is complete, all 2 iterations are done' in said, said
    assert 'run/backbone.pth; --continue-for EPOCHS' in said
    assert 'from those of the run' not in said
    assert text_files(desk / 'run') == before


def test_other_settings_of_a_resumed_run_are_named(desk, sce_train):
    line = 'tiny.py --data img --work-dir run --epochs 2'
    sce_train(line)
    for path in (desk / 'run').glob('*2.pth'):
        path.unlink()
    said = sce_train(f'{line} --resume')
    assert 'Resumed' in said or 'resumed' in said
    assert 'from those of the run' not in said
    for path in (desk / 'run').glob('*2.pth'):
        path.unlink()
    said = sce_train(
        f'{line} --resume --cfg-options model.head.loss.temperature=0.5 '
        'default_hooks.collapse_monitor=None'
    )
    assert '2 settings of the config differ from those of the run: ' in said
    assert 'model.head.loss.temperature 0.1 -> 0.5' in said
    assert "collapse_monitor dict(type='CollapseMonitorHook') -> None" in said
    for path in (desk / 'run').glob('*2.pth'):
        path.unlink()
    key = 'optim_wrapper.optimizer'
    said = sce_train(f'{line} --resume --cfg-options {key}.weight_decay=0.5')
    (line_,) = (text for text in said.splitlines() if 'weight_decay' in text)
    assert 'not taken, as the checkpoint has the state' in line_
    for path in (desk / 'run').glob('*2.pth'):
        path.unlink()
    said = sce_train(f'{line} --resume --cfg-options {key}.type=RMSprop')
    assert 'error: the checkpoint has the state of SGD, and this run' in said


def test_a_dry_run_promises_no_training_that_would_be_refused(desk, sce_train):
    line = 'tiny.py --data img --work-dir run --epochs 1'
    sce_train(line)
    assert sce_train(line).startswith('error: run holds a run, at epoch_1')
    said = sce_train(f'{line} --dry-run')
    assert said.startswith('error: run holds a run, at epoch_1')


@pytest.mark.parametrize('more', ['', ' --dry-run'])
@pytest.mark.parametrize('place', ['img/run', 'img', './img/../img/a/b'])
def test_a_run_does_not_write_among_its_images(desk, sce_train, place, more):
    said = sce_train(f'tiny.py --data img --work-dir {place}{more}')
    assert said.startswith('error: --work-dir'), said
    assert 'lies in the data, img' in said or 'are the same' in said
    assert sorted(path.name for path in (desk / 'img').iterdir()) == [
        f'{number}.png' for number in range(8)
    ]
