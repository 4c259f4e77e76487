"""The sheet of regions shows what the network gets."""

import base64
import re

import cv2
import numpy as np
import pytest
from image_files import write_cifar, write_noise
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS

from sce_mm.cli.commands import views
from sce_mm.config.parts import view_transforms
from sce_mm.config.regions import set_regions
from sce_mm.datasets import CIFAR10BGR, SeededSampler
from sce_mm.visualization.regions import regions_sheet

RECIPE = 'sce_resnet18_1xb64-coslr-200e_folder'


@pytest.fixture
def cfg(root, tmp_path):
    write_noise(tmp_path, 4)
    cfg = Config.fromfile(root / 'configs' / 'sce' / f'{RECIPE}.py')
    cfg.train_dataloader.dataset.data_root = str(tmp_path)
    return cfg


def shown(sheet):
    """Images of a sheet, and their captions."""
    found = re.findall(r'src="data:image/\w+;base64,(.*?)" alt="(.*?)"', sheet)
    return [
        (cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), 1), alt)
        for text, alt in found
    ]


def samples(cfg, seed, epochs):
    """Views of the first epochs, ``[v, h, w, c]`` by image, in their order."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
    found, sampler = {}, SeededSampler(dataset, seed=seed)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        for index in sampler:
            sample = dataset[index]
            name = sample['data_samples'].img_path.rpartition('/')[2]
            found.setdefault(name, []).append(
                [view.permute(1, 2, 0).numpy() for view in sample['inputs']]
            )
    return found


@pytest.fixture
def joined(cfg, tmp_path):
    """The images of the recipe as two data sets that are joined."""
    parts = []
    for number in range(2):
        part = cfg.train_dataloader.dataset.copy()
        part.data_root = str(tmp_path / str(number))
        for image in range(2 * number, 2 * number + 2):
            name = f'{image}.png'
            (tmp_path / str(number)).mkdir(exist_ok=True)
            (tmp_path / name).rename(tmp_path / str(number) / name)
        parts.append(part)
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=parts)
    return cfg


@pytest.mark.parametrize('sides', [(16, 16), None])
@pytest.mark.parametrize('data', ['cfg', 'joined'])
def test_views_are_those_of_the_first_epochs(request, data, sides):
    cfg = request.getfixturevalue(data)
    set_regions(cfg, sides)
    sheet = regions_sheet(cfg, count=2, seed=5)
    assert sheet != regions_sheet(cfg, count=2, seed=6)
    drawn, regions, names = [], [], []
    for pixels, caption in shown(sheet):
        kind = caption.split()[0]
        if kind == 'view':
            drawn.append(pixels)
        elif kind == 'region':
            regions.append(pixels.shape)
        else:
            names.append(caption.split(',')[0])
            assert ('6 regions per epoch' in caption) == bool(sides)
    # Three regions of the first epoch, or the image in three epochs.
    expected = samples(cfg, seed=5, epochs=1 if sides else 3)
    assert len(set(names)) == 2
    assert regions == [(16, 16, 3)] * 6 * bool(sides)
    wanted = [
        view
        for name in names
        for sample in expected[name][:3]
        for view in sample
    ]
    for got, want in zip(drawn, wanted, strict=True):
        assert (got == want).all()
    # Whether the views are left to the device makes no difference.
    for _, transform in view_transforms(cfg):
        transform['deferred'] = True
    assert regions_sheet(cfg, count=2, seed=5) == sheet


def test_pixels_may_come_from_memory(root, tmp_path, monkeypatch):
    cfg = Config.fromfile(
        root / 'configs/sce/sce_resnet18_1xb256-amp-coslr-200e_cifar10.py'
    )
    cfg.train_dataloader.dataset.data_root = str(tmp_path)
    monkeypatch.setattr(CIFAR10BGR, 'train_list', [['train', None]])
    monkeypatch.setattr(CIFAR10BGR, 'test_list', [])
    file = tmp_path / CIFAR10BGR.base_folder / 'train'
    write_cifar(file, [(250, 20, 10), (10, 20, 250)])
    images = shown(regions_sheet(cfg))
    assert sum('view' not in caption for _, caption in images) == 2
    for number, pixels in ((0, (10, 20, 250)), (1, (250, 20, 10))):
        (image,) = (i for i, t in images if t.startswith(f'image {number},'))
        assert (abs(image - np.float32(pixels)) < 4).all()


def test_images_that_cannot_be_read_are_left_out(cfg, tmp_path):
    (tmp_path / '0.png').write_bytes(b'no image')
    set_regions(cfg, (16, 16))
    captions = [caption for _, caption in shown(regions_sheet(cfg))]
    assert sum('50 x 40 px' in caption for caption in captions) == 3


def test_the_command_writes_a_page(cfg, root, tmp_path, capsys):
    out = tmp_path / 'page.html'
    recipe = root / 'configs' / 'sce' / f'{RECIPE}.py'
    words = [str(recipe), '--data', str(tmp_path), '--out', str(out)]
    views.main([*words, '--count', '1', '--regions', '16'])
    captions = [caption for _, caption in shown(out.read_text())]
    assert captions[0].endswith('50 x 40 px, 6 regions per epoch')
    assert [c.split(',')[0].split(' of ')[0] for c in captions[1:4]] == [
        'region 1', 'view 1', 'view 2',
    ]  # fmt: skip
    assert '<td>momentum</td><td>online</td>' in out.read_text()
    assert str(out) in capsys.readouterr().out
    with pytest.raises(SystemExit):
        views.main([str(recipe), '--out', str(tmp_path / 'views.png')])
    assert 'views.png' in capsys.readouterr().err
