"""Configs of segmentors load, build, and their names say the truth."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from torch import nn

from sce_mm.cli.runner import build_runner
from sce_mm.config import walk
from sce_mm.config.check import check_config

pytestmark = pytest.mark.integration

CONFIGS = Path(__file__).parents[2] / 'configs'
PUBLISHED = sorted((CONFIGS / 'sce' / 'benchmarks' / 'mmseg').glob('*.py'))
NAME = re.compile(
    r'(?P<head>fcn|upernet)_r50(?P<dilated>-d8)?-sce-pre_'
    r'(?P<gpus>\d)xb(?P<batch>\d)-(?P<steps>\d+)k_'
    r'(?P<data>voc12aug|cityscapes|ade20k)-(?P<side>\d+)x(?P=side)'
)
HEADS = {'fcn': 'FCNHead', 'upernet': 'UPerHead'}
# Root of a data set; for each part an image and its labels.
FOLDERS = {
    'voc12aug': (
        'VOCdevkit/VOC2012',
        {
            'train': ('JPEGImages/{}.jpg', 'SegmentationClass/{}.png'),
            'aug': ('JPEGImages/{}.jpg', 'SegmentationClassAug/{}.png'),
            'val': ('JPEGImages/{}.jpg', 'SegmentationClass/{}.png'),
        },
    ),
    'cityscapes': (
        'cityscapes',
        {
            part: (
                f'leftImg8bit/{part}/ulm/{{}}_leftImg8bit.png',
                f'gtFine/{part}/ulm/{{}}_gtFine_labelTrainIds.png',
            )
            for part in ('train', 'val')
        },
    ),
    'ade20k': (
        'ade/ADEChallengeData2016',
        {
            part: (f'images/{part}/{{}}.jpg', f'annotations/{part}/{{}}.png')
            for part in ('training', 'validation')
        },
    ),
}
CLASSES = {'voc12aug': 21, 'cityscapes': 19, 'ade20k': 150}


@pytest.mark.parametrize('start', ['sce-pre', 'scratch'])
def test_the_segmentors_of_the_demo_build(start):
    cfg = Config.fromfile(CONFIGS / 'demo' / f'upernet_r18-{start}_demo.py')
    check_config(cfg, training=False)
    loads = cfg.model.backbone.init_cfg is not None
    assert loads == (start == 'sce-pre')
    with torch.device('meta'):
        assert MODELS.build(cfg.model).decode_head.num_classes == 11


def test_every_config_is_found_and_documented(root):
    assert len(PUBLISHED) == 3
    text = (root / 'docs' / 'segmentation.md').read_text()
    assert [p.stem for p in PUBLISHED if f'`{p.stem}`' not in text] == []


@pytest.mark.parametrize('path', PUBLISHED, ids=lambda p: p.stem)
def test_name_is_a_contract_and_nothing_is_frozen(path):
    cfg, name = Config.fromfile(path), NAME.fullmatch(path.stem)
    assert name, 'the name follows no scheme'
    check_config(cfg, training=False)
    batch, steps = int(name['batch']), 1000 * int(name['steps'])
    assert cfg.train_dataloader.batch_size == batch
    base = batch * int(name['gpus'])
    assert cfg.auto_scale_lr == {'enable': False, 'base_batch_size': base}
    assert cfg.optim_wrapper.optimizer.lr == 0.01
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end == steps
    assert cfg.custom_imports.imports == ['sce_mm.segmentation']
    assert cfg.default_hooks.verify_transfer.type == 'VerifyTransferHook'

    model, side = cfg.model, int(name['side'])
    assert model.data_preprocessor.size == (side, side)
    assert model.data_preprocessor.bgr_to_rgb is True
    assert model.pretrained is None
    assert (model.backbone.type, model.backbone.depth) == ('ResNet', 50)
    loads = {'type': 'Pretrained', 'checkpoint': 'backbone.pth'}
    assert model.backbone.init_cfg == loads
    dilations = (1, 1, 2, 4) if name['dilated'] else (1, 1, 1, 1)
    assert model.backbone.dilations == dilations
    assert model.decode_head.type == HEADS[name['head']]
    for head in (model.decode_head, model.auxiliary_head):
        assert head.num_classes == CLASSES[name['data']]
    with torch.device('meta'):
        backbone = MODELS.build(model).backbone
    backbone.train()
    assert all(p.requires_grad for p in backbone.parameters())
    norms = [m for m in backbone.modules() if isinstance(m, nn.SyncBatchNorm)]
    assert len(norms) == 53
    assert all(m.training for m in norms)


def lay_out(folder, data):
    """Two images of each part where mmseg looks for the data set."""
    root, parts = FOLDERS[data]
    random = np.random.default_rng(0)
    for part, (image, labels) in parts.items():
        names = [f'{part}_{number}' for number in range(2)]
        for name in names:
            classes = random.integers(1, 19, (12, 24), np.uint8)
            classes[0] = 255
            classes = cv2.resize(
                classes, (96, 48), interpolation=cv2.INTER_NEAREST
            )
            for path, pixels in (
                (image, cv2.merge([classes * 9, classes, classes * 5])),
                (labels, classes),
            ):
                file = folder / 'data' / root / path.format(name)
                file.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(file), pixels)
        if data == 'voc12aug':
            file = (
                folder / 'data' / root / f'ImageSets/Segmentation/{part}.txt'
            )
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text('\n'.join(names))


@pytest.mark.parametrize('path', PUBLISHED, ids=lambda p: p.stem)
def test_it_trains_on_its_data_where_mmseg_expects_them(
    path, backbone_file, tmp_path, monkeypatch
):
    name = NAME.fullmatch(path.stem)
    lay_out(tmp_path, name['data'])
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(path)
    # All sizes an eighth: images, crops, windows and their steps.
    cfg.merge_from_dict(
        {
            re.sub(r'\[(\d+)\]', r'.\1', where): tuple(
                -(-n // 8) for n in sizes
            )
            for where, sizes in list(walk(cfg))
            if where.endswith(('.scale', '.size', 'crop_size', '.stride'))
            and isinstance(sizes, tuple)
        }
    )
    stages = [32, 64, 128, 256]
    fcn = name['head'] == 'fcn'
    cfg.merge_from_dict(
        {
            'model.backbone.base_channels': 8,
            'model.backbone.stem_channels': 8,
            'model.backbone.init_cfg.checkpoint': str(backbone_file(8, 50)),
            'model.decode_head.in_channels': stages[3] if fcn else stages,
            'model.decode_head.channels': 8,
            'model.auxiliary_head.in_channels': stages[2],
            'model.auxiliary_head.channels': 8,
            'train_cfg.max_iters': 2,
            'train_cfg.val_interval': 2,
            'train_dataloader.batch_size': 2,
            **{
                f'{part}_dataloader.{option}': value
                for part in ('train', 'val')
                for option, value in (
                    ('num_workers', 0),
                    ('persistent_workers', False),
                )
            },
            'work_dir': str(tmp_path / 'work'),
            'launcher': 'none',
            'experiment_name': tmp_path.name,
            'visualizer.name': tmp_path.name,
            'default_hooks.visualization': None,
        }
    )
    check_config(cfg)
    runner = build_runner(cfg)
    runner.train()
    (log,) = (tmp_path / 'work').glob('*/*.log')
    text = log.read_text()
    assert 'transfer verified: 318/318 tensors' in text
    assert 'Iter(val) [2/2]' in text
    assert re.search(r'mIoU: \d', text)
