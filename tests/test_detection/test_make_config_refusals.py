"""What cannot be made right is refused, and the reason is the real one."""

import copy
import runpy
import subprocess
import sys
from argparse import Namespace

import pytest
import torch
from mmdet.models import FPN
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmpretrain.models import ResNet

from sce_mm.cli.config_edits import set_pretrained
from sce_mm.detection.adapt import (
    AdaptError,
    adapt,
    load_source,
    start_at_random,
)
from sce_mm.transfer import extract_backbone, read_checkpoint

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings('ignore:DeprecationWarning. `num_anchors`'),
]

SMALL = """
model = dict(backbone=dict(depth=18, base_channels=16),
             neck=dict(in_channels=[16, 32, 64, 128]))
"""


@pytest.fixture(scope='module', autouse=True)
def _mmdet():
    register_all_modules(init_default_scope=False)


@pytest.fixture(scope='module')
def atss():
    base = "_base_ = 'mmdet::atss/atss_r50_fpn_1x_coco.py'\n"
    return Config.fromstring(base + SMALL, '.py')


@pytest.fixture
def change(atss, backbone_file):
    """``change(changes, **facts)``: adapt ATSS with the changes."""

    def call(changes, processes=1, batch=None, **facts):
        cfg = copy.deepcopy(atss)
        cfg.merge_from_dict(changes)
        path = backbone_file(16, **facts)
        weights, meta = extract_backbone(read_checkpoint(path))
        # Names and shapes are what it looks at.
        with torch.device('meta'):
            return adapt(cfg, path, weights, meta, processes, batch)

    return call


DCN = {'type': 'DCNv2', 'deform_groups': 1}


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'model.backbone.depth': 34}, 'the depths differ'),
        ({'model.backbone.base_channels': 8}, 'the widths differ'),
        ({'model.backbone.deep_stem': True}, r'do not fit model\.backbone'),
        ({'model.backbone.dcn': DCN}, 'deformable convolutions have tensors'),
        (
            {'model.backbone.conv_cfg': {'type': 'ConvWS'}},
            'the weights are for plain convolutions',
        ),
        (
            {'model.backbone.num_stages': 3},
            'no place for layer4, .* part of the file',
        ),
        ({'model.backbone.type': 'Darknet'}, 'is a Darknet, and the weights'),
        ({'model.teacher_ckpt': 'x.pth'}, 'a teacher gets the pixels'),
        ({'model.bbox_head.kd.teacher_config': 'x.py'}, 'has model.bbox_head'),
        (
            {'model.data_preprocessor.type': 'MultiBranchDataPreprocessor'},
            'expected DetDataPreprocessor',
        ),
        (
            {'tta_pipeline': [{'transforms': [[{'type': 'Normalize'}]]}]},
            'a pipeline has Normalize',
        ),
        (
            {'train_dataloader.dataset.pipeline.0.color_type': 'grayscale'},
            "color_type='grayscale'",
        ),
        (
            {'model.neck.nonsense': 1},
            'the config, changed or not, builds no ATSS',
        ),
        (
            {
                'optim_wrapper.paramwise_cfg': {
                    'custom_keys': {'backbone': {'lr_mult': 0}}
                }
            },
            'gives backbone a learning rate of zero',
        ),
        ({'auto_scale_lr': {'_delete_': True}}, 'say for what batch its lear'),
        ({'optim_wrapper.optimizer': {'_delete_': True}}, 'cannot be scaled'),
    ],
)
def test_configs(change, changes, message):
    with pytest.raises(AdaptError, match=message):
        change(changes)


def test_classes_of_the_labels(change, scenes):
    labels = {
        'train_dataloader.dataset.data_root': str(scenes),
        'train_dataloader.dataset.ann_file': 'train.json',
    }
    with pytest.raises(AdaptError) as error:
        change(labels)
    for name in ("'person'", "'cup', 'jar'", 'num_classes = 2'):
        assert name in str(error.value)
    classes = {'train_dataloader.dataset.metainfo': {'classes': ('jar',)}}
    plan, _ = change(labels | classes)
    assert any("objects of 'cup'" in note for note in plan.notes)


def test_files_that_say_too_little(change):
    with pytest.raises(
        AdaptError, match=r'not say their mean, std: .* --mean --'
    ):
        change({}, mean=None, std=None)


def test_rates_batches_and_what_would_load_over(change):
    plan, line = change(
        {
            'load_from': 'coco.pth',
            'optim_wrapper.accumulative_counts': 2,
            'param_scheduler.1.eta_min': 1e-5,
            'custom_imports': {'imports': ['json']},
            'custom_hooks': [{'type': 'NumClassCheckHook'}],
        },
        processes=4,
        batch=3,
    )
    cfg = plan.cfg
    # 4 x 3 x 2 images instead of 16.
    assert cfg.optim_wrapper.optimizer.lr == 0.015
    assert cfg.param_scheduler[1].eta_min == 1.5e-5
    assert cfg.auto_scale_lr == {'enable': False, 'base_batch_size': 24}
    assert line == (
        'learning rate 0.015 for 4 process(es) x 3 images x 2 accumulated'
    )
    assert cfg.train_dataloader.batch_size == 3
    assert cfg.load_from is None
    assert cfg.custom_imports.imports == ['json', 'sce_mm.detection']
    hooks = [hook['type'] for hook in cfg.custom_hooks]
    assert hooks == ['NumClassCheckHook', 'VerifyTransferHook']


@MODELS.register_module()
class FPNWithBackbone(FPN):
    """A pyramid that holds, and may load, more than its convolutions."""

    def __init__(self, second=None, **options):
        super().__init__(**options)
        if second is not None:
            self.second = MODELS.build(second)


SECOND = {
    'type': 'ResNet',
    'depth': 18,
    'base_channels': 16,
    'frozen_stages': 1,
    'norm_eval': True,
}
ELSEWHERE = {'type': 'Pretrained', 'checkpoint': 'torchvision://resnet18'}


@pytest.mark.parametrize(
    'loads',
    [
        {'pretrained': 'torchvision://resnet18'},
        {'init_cfg': ELSEWHERE},
        {'init_cfg': [{'type': 'Kaiming'}, ELSEWHERE]},
    ],
)
@pytest.mark.filterwarnings('ignore:DeprecationWarning. pretrained')
def test_a_second_backbone_is_as_the_first(change, loads, tmp_path):
    plan, _ = change(
        {'model.neck': {'type': 'FPNWithBackbone', 'second': SECOND | loads}}
    )

    def parts():
        return plan.cfg.model.backbone, plan.cfg.model.neck.second

    first, second = parts()
    for key in ('init_cfg', 'frozen_stages', 'norm_eval', 'norm_cfg'):
        assert second[key] == first[key]
    assert second.get('pretrained') is None
    assert all(' loads ' not in note for note in plan.notes)
    other = tmp_path / 'other.pth'
    other.touch()
    set_pretrained(plan.cfg, str(other))
    assert [p.init_cfg.checkpoint for p in parts()] == [str(other)] * 2
    start_at_random(plan)
    first, second = parts()
    assert first.init_cfg is second.init_cfg is None
    assert 'VerifyTransferHook' not in str(plan.cfg.custom_hooks)
    assert second.frozen_stages == -1


@pytest.mark.parametrize(
    ('changes', 'where', 'what'),
    [
        (
            {
                'model.neck.type': 'FPNWithBackbone',
                'model.neck.second': SECOND
                | {'depth': 34, 'pretrained': 'torchvision://resnet34'},
            },
            'model.neck.second.pretrained',
            'torchvision://resnet34, not this file (frozen_stages=1, '
            'norm_eval=True): the weights (ResNet-18) do not fit',
        ),
        (
            {'model.bbox_head.init_cfg': ELSEWHERE | {'prefix': 'bbox_head.'}},
            'model.bbox_head.init_cfg.checkpoint',
            'torchvision://resnet18',
        ),
        (
            {'model.train_cfg.prior': 's3://mine/prior'},
            'model.train_cfg.prior',
            's3://mine/prior',
        ),
        (
            {'custom_hooks': [{'type': 'MyHook', 'ckpt_path': 'mine.pth'}]},
            'custom_hooks[0].ckpt_path',
            'mine.pth',
        ),
    ],
)
@pytest.mark.filterwarnings('ignore:DeprecationWarning. pretrained')
def test_what_loads_from_elsewhere_is_named(change, changes, where, what):
    plan, _ = change(changes)
    text = f'{where} loads {what}'
    assert [n for n in plan.notes if n.startswith(text)]
    with pytest.raises(AdaptError) as error:
        start_at_random(plan)
    assert f'{where} loads' in str(error.value)


def test_bgr_weights_keep_their_order(change):
    plan, _ = change(
        {}, channel_order='bgr', mean=[1.0, 2.0, 3.0], std=[1.0, 1.0, 1.0]
    )
    preprocessor = plan.cfg.model.data_preprocessor
    assert preprocessor.bgr_to_rgb is False
    assert preprocessor.mean == [1.0, 2.0, 3.0]


def test_what_is_right_already_is_left_alone(change, atss, backbone_file):
    plan, _ = change({}, processes=8)
    assert all(c.path != 'optim_wrapper.optimizer.lr' for c in plan.changes)
    path = backbone_file(16)
    weights, meta = extract_backbone(read_checkpoint(path))
    again, _ = adapt(plan.cfg, path, weights, meta, 8)
    assert again.changes == []


def test_a_config_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match='no config at'):
        load_source(str(tmp_path / 'none.py'))


def test_a_file_that_is_no_config(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text('model = dict(')
    with pytest.raises(AdaptError, match=r'cannot read .*\(SyntaxError: '):
        load_source(str(path))


@pytest.mark.parametrize(
    ('name', 'near'),
    [
        ('mmdet::atss/atss_r50_fpn_1x_coc.py', 'atss/atss_r50_fpn_1x_coco.py'),
        ('mmdet::atss/atss_r50_fpn_1x_coco', 'atss/atss_r50_fpn_1x_coco.py'),
        # Of mmdet 2, and without a folder.
        (
            'mmdet::faster_rcnn_r50_fpn_1x_coco',
            'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
        ),
        ('mmdett::atss/atss_r50_fpn_1x_coco.py', 'mmdet'),
        ('{folder}/my_detektor.py', 'my_detector.py'),
    ],
)
def test_a_misspelt_config_gets_the_nearest_names(name, near, tmp_path):
    (tmp_path / 'my_detector.py').touch()
    with pytest.raises((FileNotFoundError, AdaptError)) as error:
        load_source(name.format(folder=tmp_path))
    assert f'did you mean {near!r}' in str(error.value)


def test_names_that_mmengine_does_not_resolve():
    with pytest.raises(AdaptError, match='give the path of its file instead'):
        load_source('mmdet::legacy_1.x/faster-rcnn_r50_fpn_1x_coco_v1.py')


def test_a_config_without_the_part_that_has_to_change(change):
    with pytest.raises(AdaptError, match='the config has no train_dataloader'):
        change({'train_dataloader': None}, batch=2)


def test_files_and_names(root, backbone_file, tmp_path):
    tool = runpy.run_path(str(root / 'tools' / 'make_detection_config.py'))

    def make(**options):
        defaults = {
            'config': 'mmdet::atss/atss_r50_fpn_1x_coco.py',
            'checkpoint': backbone_file(16),
            'out': tmp_path / 'out.py',
            'gpus': 1,
            'batch': None,
            'overwrite': False,
            'keep_heads': False,
        }
        tool['make'](Namespace(**(defaults | options)))

    with pytest.raises(ValueError, match=r'its name ends in \.py'):
        make(out=tmp_path / 'out.txt')
    with pytest.raises(ValueError, match='--gpus must be at least 1, got 0'):
        make(gpus=0)
    (tmp_path / 'out.py').write_text('x = 1\n')
    with pytest.raises(FileExistsError, match='add --overwrite'):
        make()
    with pytest.raises(FileExistsError, match='OUT is the config itself'):
        make(config=str(tmp_path / 'out.py'), overwrite=True)
    # Nobody knows what pixels these weights are for.
    whole = tmp_path / 'epoch_1.pth'
    tensors = {f'backbone.{k}': v for k, v in ResNet(18).state_dict().items()}
    torch.save({'state_dict': tensors, 'meta': {}}, whole)
    with pytest.raises(ValueError, match=r'extract_backbone\.py and --chann'):
        make(checkpoint=whole, overwrite=True)
    assert not (tmp_path / 'out_backbone.pth').exists()
    assert (tmp_path / 'out.py').read_text() == 'x = 1\n'


def test_command_line_says_why(root, backbone_file, tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            str(root / 'tools' / 'make_detection_config.py'),
            'mmdet::atss/atss_r50_fpn_1x_coco.py',
            str(backbone_file(16)),
            str(tmp_path / 'out.py'),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert 'error: the weights (ResNet-18) do not fit' in done.stderr
    assert not (tmp_path / 'out.py').exists()
