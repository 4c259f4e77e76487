"""Any detector's config, made right, trains on the weights for two steps."""

from functools import partial

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope

from sce_mm.cli.runner import build_runner
from sce_mm.detection.adapt import adapt
from sce_mm.downstream import (
    AdaptError,
    ConfigEdits,
    load_base,
    make_config,
    write_config,
)
from sce_mm.transfer import Backbone, extract_backbone, read_checkpoint
from sce_mm.transfer.export.targets import write_safetensors

pytestmark = [
    pytest.mark.integration,
    pytest.mark.usefixtures('mmdet_modules'),
    # Parts of mmdet use old spellings of torch.
    pytest.mark.filterwarnings('ignore:torch.meshgrid'),
    pytest.mark.filterwarnings('ignore:To copy construct from a tensor'),
    pytest.mark.filterwarnings('ignore:indexing with dtype torch.uint8'),
]

PYRAMID = """
model = dict(
    backbone=dict(depth=18, base_channels=16),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=32),
"""
DENSE = f"""{PYRAMID}
    bbox_head=dict(in_channels=32, feat_channels=32, stacked_convs=1,
                   num_classes=2))
"""
REGIONS = f"""{PYRAMID}
    rpn_head=dict(in_channels=32, feat_channels=32),
    train_cfg=dict(rpn_proposal=dict(nms_pre=100, max_per_img=50)),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=32),
        mask_roi_extractor=dict(out_channels=32),
        mask_head=dict(in_channels=32, conv_out_channels=32, num_classes=2)))
"""
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
PROPOSALS = """
model = dict(
    backbone=dict(depth=18, base_channels=16),
    neck=dict(in_channels=[16, 32, 64, 128]),
    rpn_head=dict(num_proposals=10),
    roi_head=dict(num_stages=1, stage_loss_weights=[1]))
_base_.model.roi_head.bbox_head = _base_.model.roi_head.bbox_head[:1]
_base_.model.roi_head.bbox_head[0].num_classes = 2
_base_.model.train_cfg.rcnn = _base_.model.train_cfg.rcnn[:1]
"""
MASKS = """
model = dict(
    data_preprocessor=dict(batch_augments=None),
    backbone=dict(depth=18, base_channels=16),
    panoptic_head=dict(
        in_channels=[16, 32, 64, 128], num_queries=10, num_things_classes=2,
        pixel_decoder=dict(encoder=dict(num_layers=1)),
        transformer_decoder=dict(num_layers=1),
        loss_cls=dict(class_weight=[1.0, 1.0, 0.1])),
    panoptic_fusion_head=dict(num_things_classes=2))
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
    'mask': (
        'mask_rcnn/mask-rcnn_r50_fpn_1x_coco',
        REGIONS + ONE,
        ['neck', 'roi_head.bbox_head', 'roi_head.mask_head'],
    ),
    'cascade': (
        'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco',
        REGIONS + THREE,
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
            'neck',
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
    'dino': (
        'dino/dino-4scale_r50_8xb2-12e_coco',
        TRANSFORMER.format(channels=[32, 64, 128]),
        [],
    ),
    'centernet': (
        'centernet/centernet-update_r50-caffe_fpn_ms-1x_coco',
        DENSE,
        ['neck'],
    ),
    'sparse': ('sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco', PROPOSALS, ['neck']),
    'mask2former': (
        'mask2former/mask2former_r50_8xb2-lsj-50e_coco',
        MASKS,
        [],
    ),
    # Heads that have a norm through the class they inherit from, or none.
    'fsaf': ('fsaf/fsaf_r50_fpn_1x_coco', DENSE, ['neck', 'bbox_head']),
}


@pytest.fixture
def make(write):
    """``make(base, checkpoint, out, **options)``, text for a base."""

    def call(base, checkpoint, out, overwrite=False, **options):
        change = partial(adapt, **options)
        base = str(write(base))
        return make_config(base, checkpoint, out, change, overwrite)

    return call


@pytest.fixture
def write(tmp_path):
    """Text to a config in a folder of its own."""

    def call(text):
        path = tmp_path / 'mine' / 'detector.py'
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return call


@pytest.mark.parametrize('family', FAMILIES)
def test_a_users_config_is_made_right_and_trains(
    family, make, backbone_file, tiny_data, tmp_path, monkeypatch
):
    source, small, normed = FAMILIES[family]
    file = backbone_file(
        64 if family == 'c4' else 16, 50 if family == 'rfp' else 18
    )
    text = f"_base_ = 'mmdet::{source}.py'\n{small}\n{tiny_data}"
    out = tmp_path / 'made' / f'{family}.py'
    edits, line, _ = make(text, file, out)
    assert "_base_ = '../mine/detector.py'" in out.read_text()
    # A user's own hooks remove none of ours.
    users = tmp_path / 'users.py'
    hook = "dict(type='NumClassCheckHook')"
    users.write_text(f"_base_ = 'made/{family}.py'\ncustom_hooks = [{hook}]")

    monkeypatch.chdir(tmp_path / 'made')
    before = Config.fromfile(tmp_path / 'mine' / 'detector.py')
    cfg = Config.fromfile(users)
    norms = {
        change.path for change in edits.changes if 'norm_cfg' in change.path
    }
    assert norms == {
        f'model.{part}.norm_cfg' for part in ('backbone', *normed)
    }
    preprocessor = cfg.model.data_preprocessor
    assert preprocessor.bgr_to_rgb is True
    assert preprocessor.mean == [123.675, 116.28, 103.53]
    assert cfg.param_scheduler == before.param_scheduler
    old, new = before.optim_wrapper.optimizer, cfg.optim_wrapper.optimizer
    scale = 2 / before.auto_scale_lr.base_batch_size
    scale = scale**0.5 if old.type == 'AdamW' else scale
    assert new.lr == pytest.approx(old.lr * scale)
    assert f'learning rate {new.lr} for ' in line
    assert not [note for note in edits.notes if ' loads ' in note]

    cfg.launcher, cfg.work_dir = 'none', str(tmp_path / 'work')
    cfg.experiment_name = cfg.visualizer.name = tmp_path.name
    runner = build_runner(cfg)
    hooks = [type(hook).__name__ for hook in runner.hooks]
    # Before all that looks at the model, but for what counts iterations.
    assert hooks[:2] == ['RuntimeInfoHook', 'VerifyTransferHook']
    assert 'NumClassCheckHook' in hooks
    runner.train()
    assert runner.iter == 2
    (log,) = (tmp_path / 'work').glob('*/*.log')
    weights = read_checkpoint(file)['state_dict']
    count = f'{len(weights)}/{len(weights)}'
    assert f'transfer verified: {count} tensors' in log.read_text()
    assert ' loads ' not in log.read_text()
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


def test_heads_can_be_kept(make, backbone_file, tmp_path):
    text = f"_base_ = 'mmdet::{FAMILIES['mask'][0]}.py'\n{REGIONS}{ONE}"
    out = tmp_path / 'kept.py'
    edits, _, _ = make(text, backbone_file(16), out, keep_heads=True)
    assert edits.cfg.model.neck.norm_cfg.type == 'SyncBN'
    assert not [c for c in edits.changes if 'roi_head' in c.path]
    edits, _, _ = make(text, backbone_file(16), tmp_path / 'out.py')
    assert any('--keep-heads' in change.reason for change in edits.changes)


def test_nothing_beside_the_config_is_written_or_removed(
    make, backbone_file, tmp_path
):
    text = f"_base_ = 'mmdet::{FAMILIES['atss'][0]}.py'\n{DENSE}"
    theirs = tmp_path / 'detector_part.py'
    theirs.write_text('mine = 1\n')
    make(text, backbone_file(16), tmp_path / 'detector.py')
    assert theirs.read_text() == 'mine = 1\n'
    # A NaN equals no other, and infinity has no name in a config.
    for value, message in (('nan', 'of x, and'), ('inf', 'be readable')):
        base, out = tmp_path / 'base.py', tmp_path / 'other.py'
        base.write_text(f"{text}x = [float('{value}')]\n")
        cfg, name = load_base(str(base))
        edits = ConfigEdits(cfg)
        edits.set('y', 1 if value == 'nan' else cfg.x, 'a reason')
        with pytest.raises(AdaptError, match=rf'^other\.py .*{message}'):
            write_config(edits, name, backbone_file(16), out, 'Title.')
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {'mine', 'base.py', 'detector.py', theirs.name}


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_a_training_checkpoint_is_extracted_beside_the_config(
    suffix, make, backbone_file, tmp_path
):
    content = read_checkpoint(backbone_file(16))
    whole = tmp_path / f'epoch_3{suffix}'
    if suffix == '.pth':
        meta = {'sce_mm': content['meta'], 'epoch': 3}
        tensors = content['state_dict'].items()
        tensors = {f'backbone.{k}': v for k, v in tensors}
        torch.save({'state_dict': tensors, 'meta': meta}, whole)
    else:
        # Ours, but mmengine does not read it.
        pytest.importorskip('safetensors')
        write_safetensors(
            whole, Backbone(content['state_dict'], content['meta'])
        )
    text = f"_base_ = 'mmdet::{FAMILIES['atss'][0]}.py'\n{DENSE}"
    out = tmp_path / 'made' / 'mine.py'
    _, _, file = make(text, whole, out)
    written = out.with_name('mine_backbone.pth')
    assert file.path == written
    weights, meta, _ = extract_backbone(read_checkpoint(written))
    assert meta['mean'] == content['meta']['mean']
    assert all(
        torch.equal(weights[k], v) for k, v in content['state_dict'].items()
    )
    loads = Config.fromfile(out).model.backbone.init_cfg.checkpoint
    assert written.samefile(loads)
    out.unlink()
    with pytest.raises(FileExistsError, match=r'mine_backbone\.pth, which'):
        make(text, whole, out)
    make(text, whole, out, overwrite=True)


PURE = """
from mmcv.ops import nms
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
    bbox_head=dict(type=ATSSHead, num_classes=2, in_channels=32),
    test_cfg=dict(nms=dict(type=nms, iou_threshold=0.6)))
optim_wrapper = dict(optimizer=dict(type=SGD, lr=0.01))
auto_scale_lr = dict(base_batch_size=16)
train_dataloader = dict(batch_size=2)
param_scheduler = []
default_scope = None
"""


def test_a_config_in_pure_python_is_written_out(
    make, backbone_file, tmp_path, monkeypatch
):
    out = tmp_path / 'sub' / 'text.py'
    make(PURE, backbone_file(16), out, processes=8)
    (tmp_path / 'mine' / 'detector.py').unlink()
    monkeypatch.chdir(tmp_path / 'sub')
    cfg = Config.fromfile(out)
    hook = {'verify_transfer': {'type': 'VerifyTransferHook'}}
    assert cfg.default_hooks == hook
    # mmdet looks for ops of mmcv by their bare names.
    assert cfg.model.test_cfg.nms.type == 'nms'
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
        model.init_weights()
    assert isinstance(model.backbone.bn1, torch.nn.SyncBatchNorm)
    assert isinstance(model.neck.fpn_convs[0].bn, torch.nn.SyncBatchNorm)
    weights = read_checkpoint(backbone_file(16))['state_dict']
    loaded = model.backbone.state_dict()
    assert all(torch.equal(loaded[name], weights[name]) for name in weights)
