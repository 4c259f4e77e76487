"""Any detector's config, made right, trains on the weights for two steps."""

import re
import runpy
from argparse import Namespace

import pytest
import torch
from mmdet.registry import HOOKS, MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch.utils.flop_counter import FlopCounterMode

from sce_mm.cli.runner import build_runner
from sce_mm.transfer import Backbone, extract_backbone, read_checkpoint
from sce_mm.transfer.export.libraries import write_safetensors

pytestmark = [
    pytest.mark.integration,
    # Parts of mmdet use old spellings of mmcv and of mmdet itself.
    pytest.mark.filterwarnings('ignore:The arguments `:DeprecationWarning'),
    pytest.mark.filterwarnings('ignore:.* is deprecated in `FFN'),
    pytest.mark.filterwarnings('ignore:torch.meshgrid'),
    pytest.mark.filterwarnings('ignore:To copy construct from a tensor'),
    pytest.mark.filterwarnings('ignore:indexing with dtype torch.uint8'),
    pytest.mark.filterwarnings('ignore:DeprecationWarning. `num_anchors`'),
]

PYRAMID = """
model = dict(
    backbone=dict(depth=18, base_channels=16),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=32),
"""
DENSE = (
    PYRAMID
    + """
    bbox_head=dict(in_channels=32, feat_channels=32, stacked_convs=1,
                   num_classes=2))
"""
)
REGIONS = (
    PYRAMID
    + """
    rpn_head=dict(in_channels=32, feat_channels=32),
    train_cfg=dict(rpn_proposal=dict(nms_pre=100, max_per_img=50)),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=32){mask}))
{heads}
"""
)
MASK = """,
        mask_roi_extractor=dict(out_channels=32),
        mask_head=dict(in_channels=32, conv_out_channels=32, num_classes=2)"""
BOX = 'in_channels=32, fc_out_channels=32, num_classes=2'
ONE = f'_base_.model.roi_head.bbox_head.update({BOX})'
THREE = f"""
for head in _base_.model.roi_head.bbox_head:
    head.update({BOX})
del head
"""
C4 = """
model = dict(
    backbone=dict(depth=18),
    rpn_head=dict(in_channels=256, feat_channels=32),
    train_cfg=dict(rpn_proposal=dict(nms_pre=100, max_per_img=20),
                   rcnn=dict(sampler=dict(num=16))),
    roi_head=dict(
        shared_head=dict(depth=18),
        bbox_roi_extractor=dict(out_channels=256),
        bbox_head=dict(in_channels=512, num_classes=2),
        mask_head=dict(in_channels=512, conv_out_channels=32, num_classes=2)))
"""
TRANSFORMER = """
model = dict(
    backbone=dict(depth=18, base_channels=16),
    neck=dict(in_channels={channels}), num_queries=20,
    encoder=dict(num_layers=1), decoder=dict(num_layers=1),
    bbox_head=dict(num_classes=2))
"""
# The backbone a second time within the pyramid.
RECURSIVE = f"""
model = dict(
    backbone=dict(base_channels=16, conv_cfg=None),
    neck=dict(
        in_channels=[64, 128, 256, 512], out_channels=32,
        aspp_out_channels=8,
        rfp_backbone=dict(base_channels=16, rfp_inplanes=32, conv_cfg=None)),
    rpn_head=dict(in_channels=32, feat_channels=32),
    train_cfg=dict(rpn_proposal=dict(nms_pre=100, max_per_img=50)),
    roi_head=dict(bbox_roi_extractor=dict(out_channels=32)))
{THREE}
"""
# Config of mmdet, how it is made small, where it gets a norm.
FAMILIES = {
    'faster': (
        'faster_rcnn/faster-rcnn_r50_fpn_1x_coco',
        REGIONS.format(mask='', heads=ONE),
        ['neck', 'roi_head.bbox_head'],
    ),
    'mask': (
        'mask_rcnn/mask-rcnn_r50_fpn_1x_coco',
        REGIONS.format(mask=MASK, heads=ONE),
        ['neck', 'roi_head.bbox_head', 'roi_head.mask_head'],
    ),
    'cascade': (
        'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco',
        REGIONS.format(mask=MASK, heads=THREE),
        [
            'neck',
            *(f'roi_head.bbox_head[{i}]' for i in range(3)),
            'roi_head.mask_head',
        ],
    ),
    'rfp': (
        'detectors/cascade-rcnn_r50-rfp_1x_coco',
        RECURSIVE,
        [
            'neck.rfp_backbone',
            *(f'roi_head.bbox_head[{i}]' for i in range(3)),
        ],
    ),
    'c4': (
        'mask_rcnn/mask-rcnn_r50-caffe-c4_1x_coco',
        C4,
        ['roi_head.shared_head'],
    ),
    'retinanet': (
        'retinanet/retinanet_r50_fpn_1x_coco',
        DENSE,
        ['neck', 'bbox_head'],
    ),
    'fcos': ('fcos/fcos_r50-caffe_fpn_gn-head_1x_coco', DENSE, ['neck']),
    'atss': ('atss/atss_r50_fpn_1x_coco', DENSE, ['neck']),
    'gfl': ('gfl/gfl_r50_fpn_1x_coco', DENSE, ['neck']),
    'detr': (
        'detr/detr_r50_8xb2-150e_coco',
        TRANSFORMER.format(channels=[128]),
        [],
    ),
    'deformable-detr': (
        'deformable_detr/deformable-detr_r50_16xb2-50e_coco',
        TRANSFORMER.format(channels=[32, 64, 128]),
        [],
    ),
    'dino': (
        'dino/dino-4scale_r50_8xb2-12e_coco',
        TRANSFORMER.format(channels=[32, 64, 128]),
        [],
    ),
}


@pytest.fixture(scope='session', autouse=True)
def _mmdet():
    register_all_modules(init_default_scope=False)


@pytest.fixture(scope='session')
def make(root):
    """``make(config, checkpoint, out)``: the tool without its process."""
    tool = runpy.run_path(str(root / 'tools' / 'make_detection_config.py'))

    def call(config, checkpoint, out, **options):
        defaults = {
            'gpus': 1,
            'batch': None,
            'overwrite': False,
            'keep_heads': False,
        }
        tool['make'](
            Namespace(
                config=str(config),
                checkpoint=checkpoint,
                out=out,
                **(defaults | options),
            )
        )

    return call


@pytest.mark.parametrize('family', FAMILIES)
def test_a_users_config_is_made_right_and_trains(
    family, make, backbone_file, tiny_data, tmp_path, monkeypatch, capsys
):
    source, small, normed = FAMILIES[family]
    base = tmp_path / 'mine' / 'detector.py'
    base.parent.mkdir()
    base.write_text(f"_base_ = 'mmdet::{source}.py'\n{small}\n{tiny_data}")
    weights = backbone_file(
        64 if family == 'c4' else 16, 50 if family == 'rfp' else 18
    )
    out = tmp_path / 'made' / f'{family}.py'
    make(base, weights, out)
    printed = capsys.readouterr().out
    assert "_base_ = '../mine/detector.py'" in out.read_text()

    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    cfg, before = Config.fromfile(out), Config.fromfile(base)
    expected = {f'model.{part}.norm_cfg' for part in normed}
    changed = {
        line.split()[1]
        for line in printed.splitlines()
        if line.startswith('+ ') and '.norm_cfg = ' in line
    }
    assert changed == expected | {'model.backbone.norm_cfg'}
    assert cfg.model.data_preprocessor.bgr_to_rgb is True
    assert cfg.model.data_preprocessor.mean == [123.675, 116.28, 103.53]
    assert cfg.param_scheduler == before.param_scheduler
    base_batch = before.auto_scale_lr.base_batch_size
    scale = 2 / base_batch
    if before.optim_wrapper.optimizer.type == 'AdamW':
        scale = scale**0.5
        assert 'by the square root, as AdamW divides' in printed
    rate = before.optim_wrapper.optimizer.lr * scale
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(rate)
    assert f'learning rate {cfg.optim_wrapper.optimizer.lr} for ' in printed
    assert cfg.train_dataloader.dataset.metainfo.classes == ('cup', 'jar')

    cfg.launcher, cfg.work_dir = 'none', str(tmp_path / 'work')
    cfg.experiment_name = cfg.visualizer.name = tmp_path.name
    runner = build_runner(cfg)
    runner.train()
    assert runner.iter == 2
    (log,) = (tmp_path / 'work').glob('*/*.log')
    weights = read_checkpoint(weights)['state_dict']
    count = f'{len(weights)}/{len(weights)}'
    assert f'transfer verified: {count} tensors' in log.read_text()
    assert ' loads ' not in log.read_text() + printed
    parts = [runner.model.backbone.state_dict()]
    if family == 'c4':
        parts[0] |= runner.model.roi_head.shared_head.state_dict()
    if family == 'rfp':
        parts.append(runner.model.neck.rfp_modules[0].state_dict())
    # All of it learns, its statistics too.
    for part in parts:
        for name in weights:
            if name.endswith('num_batches_tracked'):
                assert part[name] == 2
            elif name.endswith('running_mean') or 'conv' in name:
                assert not torch.equal(part[name], weights[name]), name


@pytest.mark.parametrize(
    ('channels', 'size', 'features'), [(256, 7, 1024), (64, (5, 3), 200)]
)
def test_the_box_head_says_what_it_costs_and_can_be_kept(
    channels, size, features, make, backbone_file, tmp_path, capsys
):
    base = tmp_path / 'base.py'
    options = {
        'in_channels': channels,
        'roi_feat_size': size,
        'fc_out_channels': features,
        'num_classes': 1,
    }
    base.write_text(
        "_base_ = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'\n"
        f"""{PYRAMID.replace('out_channels=32', f'out_channels={channels}')}
    roi_head=dict(bbox_head=dict(**{options})))
"""
    )
    make(base, backbone_file(16), tmp_path / 'out.py')
    printed = capsys.readouterr().out
    (found,) = re.findall(
        r'(\S+) times .*: (\S+) instead of (\S+) million', printed
    )
    times, after, before = map(float, found)
    old = Config.fromfile(base).model.roi_head.bbox_head
    new = Config.fromfile(tmp_path / 'out.py').model.roi_head.bbox_head
    new.norm_cfg = None
    counts = []
    for cfg in (old, new):
        with torch.device('meta'):
            head = MODELS.build({**cfg, '_scope_': 'mmdet'})
            sides = size if isinstance(size, tuple) else (size, size)
            region = torch.empty(1, channels, *sides)
        with FlopCounterMode(display=False) as counter:
            head(region)
        predictors = head.fc_cls.weight.numel() + head.fc_reg.weight.numel()
        counts.append((counter.get_total_flops() / 2 - predictors) / 1e6)
    assert (before, after) == pytest.approx(counts, abs=0.051)
    assert times == pytest.approx(counts[1] / counts[0], abs=0.051)

    make(base, backbone_file(16), tmp_path / 'kept.py', keep_heads=True)
    kept = Config.fromfile(tmp_path / 'kept.py').model
    assert kept.roi_head.bbox_head == old
    assert kept.neck.norm_cfg.type == 'SyncBN'
    printed = capsys.readouterr().out
    assert 'model.roi_head.bbox_head (Shared2FCBBoxHead): no norm' in printed


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_a_training_checkpoint_is_extracted_beside_the_config(
    suffix, make, backbone_file, tmp_path, capsys
):
    content = read_checkpoint(backbone_file(16))
    if suffix == '.pth':
        meta = {'sce_mm': content['meta'], 'epoch': 3}
        whole = tmp_path / 'epoch_3.pth'
        tensors = content['state_dict'].items()
        tensors = {f'backbone.{k}': v for k, v in tensors}
        torch.save({'state_dict': tensors, 'meta': meta}, whole)
    else:
        # Ours, but mmengine does not read it.
        pytest.importorskip('safetensors')
        whole = tmp_path / 'backbone.safetensors'
        write_safetensors(
            whole, Backbone(content['state_dict'], content['meta'])
        )
    base = tmp_path / 'base.py'
    base.write_text(f"_base_ = 'mmdet::{FAMILIES['atss'][0]}.py'\n{DENSE}")
    out = tmp_path / 'made' / 'mine.py'
    make(base, whole, out)
    written = out.with_name('mine_backbone.pth')
    assert str(written) in capsys.readouterr().out
    weights, meta = extract_backbone(read_checkpoint(written))
    assert meta['mean'] == content['meta']['mean']
    assert all(
        torch.equal(weights[k], v) for k, v in content['state_dict'].items()
    )
    loads = Config.fromfile(out).model.backbone.init_cfg.checkpoint
    assert written.samefile(loads)
    out.unlink()
    with pytest.raises(FileExistsError, match=r'mine_backbone\.pth, which'):
        make(base, whole, out)
    make(base, whole, out, overwrite=True)


PURE = """
from mmdet.models import ATSS, FPN, ATSSHead, DetDataPreprocessor, ResNet
from torch.nn import BatchNorm2d
from torch.optim import SGD

model = dict(
    type=ATSS,
    data_preprocessor=dict(
        type=DetDataPreprocessor, mean=[1.0, 2.0, 3.0], std=[1.0, 1.0, 1.0]),
    backbone=dict(
        type=ResNet, depth=18, base_channels=16,
        norm_cfg=dict(type=BatchNorm2d)),
    neck=dict(
        type=FPN, in_channels=[16, 32, 64, 128], out_channels=32, num_outs=5),
    bbox_head=dict(type=ATSSHead, num_classes=2, in_channels=32))
optim_wrapper = dict(optimizer=dict(type=SGD, lr=0.01))
auto_scale_lr = dict(base_batch_size=16)
train_dataloader = dict(batch_size=2)
param_scheduler = []
default_scope = None
"""


def test_a_config_in_pure_python_is_written_out(
    make, backbone_file, tmp_path, monkeypatch
):
    base, out = tmp_path / 'pure.py', tmp_path / 'sub' / 'text.py'
    base.write_text(PURE)
    make(base, backbone_file(16), out, gpus=8)
    base.unlink()
    monkeypatch.chdir(tmp_path / 'sub')
    cfg = Config.fromfile(out)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
        model.init_weights()
        assert HOOKS.build(cfg.custom_hooks[0])
    assert isinstance(model.backbone.bn1, torch.nn.SyncBatchNorm)
    assert isinstance(model.neck.fpn_convs[0].bn, torch.nn.SyncBatchNorm)
    weights = read_checkpoint(backbone_file(16))['state_dict']
    loaded = model.backbone.state_dict()
    assert all(torch.equal(loaded[name], weights[name]) for name in weights)
