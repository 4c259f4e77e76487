"""Configs of detectors load, build, and their names say the truth."""

import re
from pathlib import Path

import pytest
import torch
from mmdet.registry import DATASETS, MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from sce_mm.config import read_config
from sce_mm.config.check import check_config
from sce_mm.detection import ResLayerExtraNorm
from sce_mm.transfer.verify.verify import parameter_groups

pytestmark = pytest.mark.integration

CONFIGS = Path(__file__).parents[2] / 'configs'
PUBLISHED = sorted((CONFIGS / 'sce' / 'benchmarks' / 'mmdet').glob('*.py'))
DEMO = sorted((CONFIGS / 'demo').glob('mask-rcnn*_demo.py'))
NAME = re.compile(
    r'(?P<detector>mask-rcnn|faster-rcnn|retinanet|panoptic-fpn)_r50-sce-pre_'
    r'(?P<neck>fpn|c4)_(?P<ms>ms-)?(?P<length>\d+[xk])(?P<cosine>-coslr)?_'
    r'(?P<data>coco|voc0712)(-(?P<percent>\d+)pct)?'
)
TYPES = {
    'mask-rcnn': 'MaskRCNN',
    'faster-rcnn': 'FasterRCNN',
    'retinanet': 'RetinaNet',
    'panoptic-fpn': 'PanopticFPN',
}


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmdet')


def test_every_config_is_found_and_documented(root):
    assert len(PUBLISHED) == 13
    assert len(DEMO) >= 2
    text = (root / 'docs' / 'detection.md').read_text()
    assert [p.stem for p in PUBLISHED if f'`{p.stem}`' not in text] == []


def test_a_published_one_is_inherited_from_any_folder(tmp_path):
    path = PUBLISHED[0]
    mine = tmp_path / 'mine.py'
    name = path.relative_to(CONFIGS).as_posix()
    mine.write_text(f"_base_ = 'sce_mm::{name}'\n")
    assert read_config(mine).to_dict() == read_config(path.stem).to_dict()


@pytest.mark.parametrize('path', PUBLISHED + DEMO, ids=lambda p: p.stem)
def test_loads_builds_and_freezes_nothing(path):
    cfg = Config.fromfile(path)
    check_config(cfg, training=False)
    preprocessor = cfg.model.data_preprocessor
    assert preprocessor.bgr_to_rgb is True
    assert preprocessor.mean == [123.675, 116.28, 103.53]
    assert preprocessor.std == [58.395, 57.12, 57.375]
    # Names and shapes without values, which take no time to make.
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    parts = [model.backbone]
    if '_c4_' in path.stem:
        parts.append(model.roi_head.shared_head)
    for part in parts:
        part.train()
        assert all(p.requires_grad for p in part.parameters())
        norms = [
            m
            for m in part.modules()
            if isinstance(m, nn.modules.batchnorm._BatchNorm)
        ]
        assert norms
        assert all(isinstance(m, nn.SyncBatchNorm) for m in norms)
        assert all(m.training for m in norms)


def test_detectors_for_comparisons_build():
    """They are as mmdet has them: tools/compare.py makes them right."""
    for path in (CONFIGS / 'demo').glob('*rcnn_r18_fpn_small.py'):
        cfg = Config.fromfile(path)
        check_config(cfg, training=False)
        with torch.device('meta'):
            assert MODELS.build(cfg.model).backbone.depth == 18


@pytest.mark.parametrize('path', PUBLISHED, ids=lambda p: p.stem)
def test_name_is_a_contract(path):
    cfg, name = Config.fromfile(path), NAME.fullmatch(path.stem)
    assert name, 'the name follows no scheme'
    assert cfg.model.type == TYPES[name['detector']]
    assert cfg.model.backbone.depth == 50
    assert cfg.model.backbone.style == 'pytorch'
    check_weights(cfg, name['neck'])
    check_length(cfg, name)
    check_data(cfg, name)
    # Batch 16 and the rates that the protocols have for it.
    assert cfg.train_dataloader.batch_size == 2
    assert cfg.auto_scale_lr == {'enable': False, 'base_batch_size': 16}
    rate = {'retinanet': 0.01}.get(name['detector'], 0.02)
    rate = 0.05 if name['cosine'] else rate
    assert cfg.optim_wrapper.optimizer.lr == rate
    check_decay(cfg)


def check_decay(cfg):
    """As in detectron2: 1e-4 for all but the norms."""
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    norms = {
        parameter
        for module in model.modules()
        if isinstance(module, nn.GroupNorm | nn.modules.batchnorm._BatchNorm)
        for parameter in module.parameters()
    }
    groups = parameter_groups(model, cfg.optim_wrapper)
    decays = {
        parameter: group['weight_decay']
        for group in groups
        for parameter in group['params']
    }
    assert len(norms) > 100
    assert {decays[p] for p in norms} == {0}
    assert {decays[p] for p in model.parameters() if p not in norms} == {1e-4}


def check_weights(cfg, neck):
    loads = {'type': 'Pretrained', 'checkpoint': 'backbone.pth'}
    assert cfg.model.backbone.init_cfg == loads
    # By name: custom_hooks is the user's.
    hooks = cfg.default_hooks
    assert hooks.verify_transfer.type == 'VerifyTransferHook'
    assert not cfg.get('custom_hooks')
    assert ('precise_bn' in hooks) == (neck == 'c4')
    if neck == 'c4':
        assert hooks.precise_bn.type == 'DetPreciseBNHook'
        every = hooks.precise_bn.get('interval', 1)
        assert every == cfg.train_cfg.val_interval
    assert cfg.custom_imports.imports == ['sce_mm.detection']
    if neck == 'fpn':
        assert cfg.model.neck.norm_cfg.type == 'SyncBN'
        return
    shared = cfg.model.roi_head.shared_head
    assert (shared.type, shared.style) == ('ResLayerExtraNorm', 'pytorch')
    assert shared.init_cfg == loads
    assert cfg.model.test_cfg.rpn.nms_pre == 6000
    assert cfg.model.test_cfg.rpn.max_per_img == 1000


def check_length(cfg, name):
    number = int(name['length'][:-1])
    if name['length'].endswith('x'):
        length = cfg.train_cfg.max_epochs
        assert length == 12 * number
    else:
        length = cfg.train_cfg.max_iters
        assert length == 1000 * number
        assert length % cfg.train_cfg.val_interval == 0
    warmup, decay = cfg.param_scheduler
    assert (warmup.type, warmup.by_epoch) == ('LinearLR', False)
    if not name['cosine']:
        steps = 100 if name['data'] == 'voc0712' else 1000
        assert (warmup.start_factor, warmup.end) == (1e-3, steps)
    assert decay.by_epoch == name['length'].endswith('x')
    assert (decay.begin, decay.end) == (0, length)
    if name['cosine']:
        assert decay.type == 'CosineAnnealingLR'
        assert decay.convert_to_iter_based
        assert (warmup.start_factor, warmup.end) == (1e-4, 10000)
    else:
        first, second = decay.milestones
        assert 0.6 * length < first < second < length


def check_data(cfg, name):
    dataset = cfg.train_dataloader.dataset
    if name['data'] == 'voc0712':
        years = [part.ann_file[:7] for part in dataset.datasets]
        assert years == ['VOC2007', 'VOC2012']
        assert cfg.model.roi_head.bbox_head.num_classes == 20
        assert cfg.test_evaluator.iou_thrs[::5] == [0.5, 0.75]
        assert len(cfg.test_evaluator.iou_thrs) == 10
        dataset = dataset.datasets[0]
    elif name['percent']:
        assert dataset.ann_file.endswith(f'.0@{name["percent"]}.json')
        assert cfg.train_dataloader.sampler.type == 'InfiniteSampler'
        assert 'val2017' in cfg.val_dataloader.dataset.ann_file
    else:
        assert dataset.ann_file.endswith('_train2017.json')
    resize = dataset.pipeline[2]
    assert ('Random' in resize['type']) == bool(name['ms'])
    if name['neck'] == 'c4' and name['data'] == 'coco':
        sides = [side for _, side in resize['scales']]
        assert (min(sides), max(sides)) == (
            (640, 880) if name['cosine'] else (640, 800)
        )
        longest = 1200 if name['cosine'] else 1333
        assert {long for long, _ in resize['scales']} == {longest}
    for transform in dataset.pipeline:
        # This one wants a package that mmdet does not bring along.
        if transform['type'] != 'LoadPanopticAnnotations':
            TRANSFORMS.build(transform)


def test_voc_years_are_one_data_set(tmp_path):
    path = 'faster-rcnn_r50-sce-pre_c4_ms-24k_voc0712.py'
    cfg = Config.fromfile(CONFIGS / 'sce/benchmarks/mmdet' / path)
    box = '<xmin>5</xmin><ymin>5</ymin><xmax>60</xmax><ymax>60</ymax>'
    for year in ('VOC2007', 'VOC2012'):
        folder = tmp_path / year
        (folder / 'ImageSets' / 'Main').mkdir(parents=True)
        (folder / 'ImageSets' / 'Main' / 'trainval.txt').write_text('1\n')
        (folder / 'Annotations').mkdir()
        (folder / 'Annotations' / '1.xml').write_text(
            '<annotation><size><width>64</width><height>64</height></size>'
            '<object><name>cat</name><difficult>0</difficult>'
            f'<bndbox>{box}</bndbox></object></annotation>'
        )
    dataset = cfg.train_dataloader.dataset
    for part in dataset.datasets:
        part.data_root = str(tmp_path)
    assert len(DATASETS.build(dataset)) == 2


def test_extra_norm_is_applied_after_the_stage():
    options = {'depth': 18, 'norm_cfg': {'type': 'BN'}, 'norm_eval': False}
    head = ResLayerExtraNorm(**options)
    assert isinstance(MODELS.get('ResLayerExtraNorm')(**options), type(head))
    out = head(torch.randn(6, 256, 14, 14))
    assert out.shape == (6, 512, 7, 7)
    channels = out.detach().transpose(0, 1).flatten(1)
    assert channels.mean(1).abs().max() < 1e-4
    assert (channels.var(1) - 1).abs().max() < 1e-2
