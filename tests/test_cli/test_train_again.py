"""A work dir that a training has used, and sce train there once more."""

import sys

import pytest
from fresh_names import forget_runners
from image_files import write_noise

from sce_mm.cli.commands import train
from sce_mm.cli.exit import message_of
from sce_mm.utils.errors import UserError

pytestmark = pytest.mark.integration

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
        except (UserError, FileNotFoundError) as error:
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
