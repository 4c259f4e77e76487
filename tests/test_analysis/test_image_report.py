"""What is said about a folder of images, and what follows from it."""

import json
import re
import shutil

import cv2
import numpy as np
import pytest
from image_files import encode, photo, photographs, png16, write_noise
from mmengine.config import Config

from sce_mm.cli.commands import data
from sce_mm.cli.exit import message_of
from sce_mm.config.epochs import auto_epochs
from sce_mm.config.errors import ConfigError
from sce_mm.models.heads.dense_sce_head import KEYS_PER_IMAGE
from sce_mm.utils.errors import UserError

RECIPE = 'sce_resnet18_1xb64-coslr-200e_folder'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Photographs, copies of one of them, and odd files."""
    folder = tmp_path_factory.mktemp('photos')
    for name, image in photographs().items():
        cv2.imwrite(str(folder / f'{name}.jpg'), image[..., ::-1])
    coffee = cv2.imread(str(folder / 'coffee.jpg'))
    cv2.imwrite(str(folder / 'half.png'), cv2.resize(coffee, (300, 200)))
    shutil.copy(folder / 'coffee.jpg', folder / 'same.jpg')
    shutil.copy(folder / 'rocket.jpg', folder / 'rocket2.jpg')
    (folder / 'broken.jpg').write_bytes(b'\xff\xd8\xff nothing')
    cv2.imwrite(str(folder / 'dot.png'), coffee[:9, :20])
    (folder / 'dark.png').write_bytes(
        png16(np.asarray(photo().convert('L')).astype(int) * 16)
    )
    return folder


@pytest.fixture
def said(folder, tmp_path, capsys):
    """``said(*words)``: what the command prints and writes."""

    def call(*words, images=folder):
        file = tmp_path / 'all.json'
        words = [str(images), '--workers', '1', '--json', str(file), *words]
        words += ['--overwrite']
        data.main(words)
        return capsys.readouterr().out, json.loads(file.read_text())

    return call


def test_a_folder_is_described(said, folder, tmp_path):
    keep = tmp_path / 'good.json'
    text, found = said('--keep', str(keep))
    report = found['report']
    assert report['images'] == 12
    assert [*report['unreadable']] == [str(folder / 'broken.jpg')]
    assert report['tiny'] == [str(folder / 'dot.png')]
    assert report['kinds']['black or flat'] == [str(folder / 'dark.png')]
    names = [
        [path.rpartition('/')[2] for path in group]
        for group in report['copies']
    ]
    assert names == [
        ['coffee.jpg', 'half.png', 'same.jpg'],
        ['rocket.jpg', 'rocket2.jpg'],
    ]
    assert sum(report['sizes'].values()) == 11
    for words in ('broken.jpg', '1 of equal files, 1 of near copies'):
        assert words in text
    kept = {path.rpartition('/')[2] for path in json.loads(keep.read_text())}
    assert kept.isdisjoint({'half.png', 'same.jpg', 'rocket2.jpg', 'dot.png'})
    assert len(kept) == 7
    # What is printed trains on the list.
    assert f'--data {keep} ' in text.splitlines()[-1]
    assert found['plan']['samples'] == 7
    # A list is looked at as a folder is, and trained on.
    assert said(images=keep)[1]['report']['images'] == 7


def test_the_plan_fits_the_images(said, root, tmp_path):
    recipe = str(root / 'configs' / 'sce' / f'{RECIPE}.py')
    images = tmp_path / 'images'
    images.mkdir()
    write_noise(images, 40)
    text, found = said('--recipe', recipe, images=images)
    plan = found['plan']
    assert (plan['samples'], plan['batch'], plan['queue']) == (40, 8, 16)
    assert (plan['epochs'], plan['steps']) == (1000, 5000)
    assert 'views.0.size=32' in text
    words = text.splitlines()[-1]
    for option in ('--batch-size 8', '--epochs auto', 'queue.length=16'):
        assert option in words
    text, found = said('--regions', '8', '--recipe', recipe, images=images)
    plan = found['plan']
    assert plan['samples'] == 40 * 30
    assert (plan['batch'], plan['queue']) == (64, 576)
    assert '--regions 8' in text.splitlines()[-1]
    # A batch that the images do not fill would be refused.
    few = tmp_path / 'few'
    few.mkdir()
    write_noise(few, 5)
    plan = said('--recipe', recipe, images=few)[1]['plan']
    assert (plan['samples'], plan['batch'], plan['queue']) == (5, 5, 5)
    # Each queue holds at most the keys of an epoch.
    recipe = 'sce_resnet18_1xb64-dense-coslr-200e_folder'
    words = said('--recipe', recipe, images=images)[0].splitlines()[-1]
    assert 'model.queue.length=16 ' in words
    (length,) = re.findall(r' model\.dense_queue\.length=(\d+)', words)
    assert int(length) <= 40 * KEYS_PER_IMAGE
    # Without a number of steps that it needs a recipe keeps its epochs.
    recipe = 'sce_resnet50_8xb512-amp-coslr-200e_in1k'
    text, found = said('--recipe', recipe, images=images)
    assert found['plan']['epochs'] == 200
    assert '--epochs' not in text.splitlines()[-1]


@pytest.fixture
def cfg(root, tmp_path):
    write_noise(tmp_path, 20)
    cfg = Config.fromfile(root / 'configs' / 'sce' / f'{RECIPE}.py')
    cfg.train_dataloader.dataset.data_root = str(tmp_path)
    cfg.train_dataloader.batch_size = 4
    return cfg


def test_epochs_make_the_steps_that_a_recipe_needs(cfg):
    cfg.auto_epochs.steps = 125
    # 125 steps of 64 are 2000 of 4, five of them an epoch.
    assert auto_epochs(cfg) == 400
    cfg.auto_scale_lr.base_batch_size = 32
    assert auto_epochs(cfg) == 200
    cfg.optim_wrapper.accumulative_counts = 2
    assert auto_epochs(cfg) == 250
    cfg.auto_epochs = None
    with pytest.raises(ConfigError, match='auto_epochs'):
        auto_epochs(cfg)


@pytest.mark.parametrize(
    ('words', 'named'),
    [
        (['{tmp}/none'], '{tmp}/none'),
        (['{tmp}'], 'no image'),
        (['{tmp}', '--keep', 'good.txt'], 'good.txt'),
        (['{tmp}', '--json', 'a.txt'], 'a.txt'),
    ],
)
def test_mistakes_name_what_was_typed(tmp_path, capsys, words, named):
    with pytest.raises((UserError, OSError, SystemExit)) as error:
        data.main([word.format(tmp=tmp_path) for word in words])
    text = message_of(error.value) or capsys.readouterr().err
    assert named.format(tmp=tmp_path) in text


def test_only_broken_images(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(encode(photo(), 'JPEG')[:-300])
    with pytest.raises(UserError, match='none of 1 images'):
        data.main([str(tmp_path), '--workers', '1'])
