"""Any config of mmseg, made right, trains on the weights and is measured."""

import pytest
import torch
from mmengine.config import Config

from sce_mm.cli.runner import build_runner
from sce_mm.config.rate_batch import batch_in_name, batch_of_rate
from sce_mm.downstream import make_config
from sce_mm.segmentation.segmentor import adapt
from sce_mm.transfer import read_checkpoint

pytestmark = pytest.mark.integration

VOC = '4xb4-20k_voc12aug-512x512'
AUXILIARY = 'auxiliary_head=dict(in_channels=64, channels=8, num_classes=3)'
RESNET = 'depth=18, base_channels=16, stem_channels=16'
# The backbone of SegFormer is another one, so that is replaced.
PLAIN = f"""backbone=dict(_delete_=True, type='ResNet', {RESNET},
    pretrained='torchvision://resnet18')"""
ALL = 'in_channels=[16, 32, 64, 128], channels=8, num_classes=3'
# Source, what makes it small, norms that are given.
FAMILIES = {
    'fcn': (
        f'fcn/fcn_r50-d8_{VOC}',
        f'decode_head=dict(in_channels=128, channels=8, num_classes=3), '
        f'{AUXILIARY}',
        [],
    ),
    'pspnet': (
        f'pspnet/pspnet_r50-d8_{VOC}',
        f'decode_head=dict(in_channels=128, channels=8, num_classes=3), '
        f'{AUXILIARY}',
        [],
    ),
    'deeplabv3plus': (
        f'deeplabv3plus/deeplabv3plus_r50-d8_{VOC}',
        'decode_head=dict(in_channels=128, channels=8, num_classes=3, '
        f'c1_in_channels=16, c1_channels=8), {AUXILIARY}',
        [],
    ),
    'upernet': (
        f'upernet/upernet_r50_{VOC}',
        f'decode_head=dict({ALL}), {AUXILIARY}',
        [],
    ),
    'fpn': (
        'sem_fpn/fpn_r50_4xb2-80k_cityscapes-512x1024',
        'neck=dict(in_channels=[16, 32, 64, 128], out_channels=16), '
        'decode_head=dict(in_channels=[16] * 4, channels=8, num_classes=3)',
        ['neck'],
    ),
    'segformer': (
        'segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512',
        f'{PLAIN}, decode_head=dict({ALL})',
        ['backbone'],
    ),
}


@pytest.mark.parametrize('family', FAMILIES)
def test_a_users_config_is_made_right_trains_and_is_measured(
    family, backbone_file, tiny_data, tmp_path, monkeypatch
):
    source, small, normed = FAMILIES[family]
    if family != 'segformer':
        small = f'backbone=dict({RESNET}), {small}'
    mine = tmp_path / 'mine' / f'{family}.py'
    mine.parent.mkdir()
    mine.write_text(
        f"_base_ = 'mmseg::{source}.py'\n{tiny_data}model.update({small})\n"
    )
    file, out = backbone_file(), tmp_path / 'made' / f'{family}.py'

    def change(cfg, file):
        # The name of the config says nothing, that of its base does.
        return adapt(cfg, file, rate_batch=batch_of_rate(str(mine), cfg))

    edits, line, _ = make_config(str(mine), file, out, change)
    monkeypatch.chdir(tmp_path / 'made')
    before, cfg = Config.fromfile(mine), Config.fromfile(out)
    backbone = cfg.model.backbone
    assert backbone.type == 'ResNet'
    for option in ('strides', 'dilations', 'contract_dilation'):
        assert backbone.get(option) == before.model.backbone.get(option)
    norms = {c.path for c in edits.changes if 'norm_cfg' in c.path}
    assert norms == {f'model.{part}.norm_cfg' for part in normed}
    assert not [note for note in edits.notes if ' loads ' in note]
    assert any('times the images of the config' in n for n in edits.notes)
    old, new = before.optim_wrapper.optimizer, cfg.optim_wrapper.optimizer
    scale = 2 / batch_in_name(source)
    scale = scale**0.5 if old.type == 'AdamW' else scale
    assert new.lr == pytest.approx(old.lr * scale)
    assert f'learning rate {new.lr} for ' in line

    cfg.launcher, cfg.work_dir = 'none', str(tmp_path / 'work')
    cfg.experiment_name = cfg.visualizer.name = tmp_path.name
    runner = build_runner(cfg)
    hooks = [type(hook).__name__ for hook in runner.hooks]
    assert hooks[:2] == ['RuntimeInfoHook', 'VerifyTransferHook']
    runner.train()
    assert runner.iter == 2
    (log,) = (tmp_path / 'work').glob('*/*.log')
    weights = read_checkpoint(file)['state_dict']
    count = f'{len(weights)}/{len(weights)}'
    text = log.read_text()
    assert f'transfer verified: {count} tensors' in text
    assert 'mIoU: ' in text
    # All of it learns, its statistics too.
    trained = runner.model.backbone.state_dict()
    for name in weights:
        if name.endswith('num_batches_tracked'):
            assert trained[name] == 2
        elif name.endswith('running_mean') or 'conv' in name:
            assert not torch.equal(trained[name], weights[name]), name
