"""Configs of segmentors load, build, and their names say the truth."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from torch import nn

from sce_mm.config.check import check_config

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore``'),
]

CONFIGS = Path(__file__).parents[2] / 'configs'
PUBLISHED = sorted((CONFIGS / 'sce' / 'benchmarks' / 'mmseg').glob('*.py'))
NAME = re.compile(
    r'(?P<head>fcn|upernet)_r50(?P<dilated>-d8)?-sce-pre_'
    r'(?P<gpus>\d)xb(?P<batch>\d)-(?P<steps>\d+)k_'
    r'(?P<data>voc12aug|cityscapes|ade20k)-(?P<side>\d+)x(?P=side)'
)
HEADS = {'fcn': 'FCNHead', 'upernet': 'UPerHead'}
CLASSES = {'voc12aug': 21, 'cityscapes': 19, 'ade20k': 150}


@pytest.mark.parametrize('start', ['sce-pre', 'scratch'])
def test_the_segmentors_of_the_demo_build(start):
    cfg = Config.fromfile(CONFIGS / 'demo' / f'fcn_r18-{start}_demo.py')
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
