"""The command that proves a transfer, on what can go wrong with one."""

import pytest
import torch
from transfer_files import prefixed, pretraining, run_tool

from sce_mm.transfer import (
    Backbone,
    extract_backbone,
    read_checkpoint,
    save_backbone,
)

pytestmark = pytest.mark.integration

C4 = """
_base_ = ['{root}/configs/_base_/detection/ssl_c4.py',
          'mmdet::_base_/models/mask-rcnn_r50-caffe-c4.py',
          'mmdet::_base_/default_runtime.py']
model = _base_.ssl_c4
model.backbone.depth = 18
model.rpn_head = dict(in_channels=256, feat_channels=32)
model.roi_head.shared_head.depth = 18
model.roi_head.update(
    bbox_roi_extractor=dict(out_channels=256),
    bbox_head=dict(in_channels=512, num_classes=2),
    mask_head=dict(in_channels=512, conv_out_channels=32, num_classes=2))
model.backbone.init_cfg = dict(type='Pretrained', checkpoint='{file}')
model.roi_head.shared_head.init_cfg = dict(
    type='Pretrained', checkpoint='{file}')
"""
CLASSIFIER = """
_base_ = 'mmpretrain::_base_/default_runtime.py'
custom_imports = dict(imports=['sce_mm'], allow_failed_imports=False)
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53],
                           std=[58.395, 57.12, 57.375], to_rgb=True),
    backbone=dict(type='ResNet', depth=18, base_channels=16, stem_channels=16,
                  frozen_stages=4, norm_eval=True,
                  init_cfg=dict(type='Pretrained', checkpoint='{file}')),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=2, in_channels=128))
"""
SHARED = 'model.roi_head.shared_head'


@pytest.fixture
def verify(root, tmp_path, capsys, monkeypatch):
    """``verify(text, file, checkpoint, *words)``: exit code and report."""
    tool = root / 'tools' / 'verify_transfer.py'
    config = tmp_path / 'detector.py'
    monkeypatch.chdir(tmp_path)

    def call(text, file, checkpoint, *words):
        config.write_text(text.format(root=root, file=file))
        return run_tool(tool, capsys, monkeypatch, config, checkpoint, *words)

    return call


RATES = (
    "optim_wrapper = dict(type='AmpOptimWrapper', optimizer=dict("
    "type='AdamW', lr=1e-4), paramwise_cfg=dict(custom_keys={{"
    "'backbone': dict(lr_mult=0.1), 'rpn_head': dict(lr_mult=0.)}}))\n"
)


def test_a_c4_detector_that_is_right(verify, backbone_file, tmp_path):
    file = backbone_file(64)
    code, text = verify(C4 + RATES, file, file)
    assert code == 0, text
    assert 'VERIFIED: 120/120 tensors' in text
    # Three stages in the backbone, the fourth in the head, and its new norm.
    assert 'loaded            120' in text
    assert 'expected missing    5  roi_head.shared_head.norm.' in text
    assert read_checkpoint(file)['meta']['sha256'][:16] in text
    assert 'frozen           0 parameters' in text
    assert '21 x SyncBN (BN in one process), statistics of the bat' in text
    # Nothing but the config is there: no logs, no work dir.
    assert [p.name for p in tmp_path.iterdir()] == ['detector.py']
    # The checkpoint of the training proves it too.
    content = read_checkpoint(file)
    torch.save(pretraining(content['state_dict']), tmp_path / 'epoch_3.pth')
    code, text = verify(C4, file, tmp_path / 'epoch_3.pth')
    assert code == 0, text


def test_one_number_altered_by_a_thousandth(verify, backbone_file, tmp_path):
    file, name = backbone_file(64), 'layer4.1.bn2.bias'
    checkpoint = read_checkpoint(file)
    weights = {k: v.clone() for k, v in checkpoint['state_dict'].items()}
    weights[name].view(-1)[0] += 1e-3
    meta = extract_backbone(weights).meta
    meta = checkpoint['meta'] | {'sha256': meta['sha256']}
    save_backbone(tmp_path / 'other.pth', Backbone(weights, meta))
    code, text = verify(C4, file, tmp_path / 'other.pth')
    assert code == 1
    assert '1 of 120 tensors are not those of the file' in text
    assert name in text


# Text that is added to the config, overrides, what the message says.
REFUSED = {
    'channels': (
        '',
        ['model.data_preprocessor.bgr_to_rgb=False'],
        'channel_order is bgr here and was rgb',
    ),
    'norms of the head': (
        '',
        [f'{SHARED}.norm_eval=True', f'{SHARED}.norm_cfg.type=BN'],
        '6 batch norm layers would run',
    ),
    'a head that loads nothing': (
        '',
        [f'{SHARED}.init_cfg=None'],
        f'{SHARED} has a place for these tensors',
    ),
    'a prefix': (
        '',
        [f'{SHARED}.init_cfg.prefix=layer4.'],
        'files have bare names: remove it',
    ),
    'no file': (
        '',
        ['model.backbone.init_cfg=None'],
        'does not load anything',
    ),
    'a list': (
        '',
        [
            "model.backbone.init_cfg=[{'type':'Pretrained',"
            "'checkpoint':'x'},{'type':'Constant','val':1}]"
        ],
        'init_cfg is a list, and its other initialisers',
    ),
    'resumed': ('', ['resume=True'], 'the config has resume=True'),
    'a rate of zero': (
        "optim_wrapper = dict(type='AmpOptimWrapper', "
        "optimizer=dict(type='SGD', lr=0.1), paramwise_cfg=dict("
        "custom_keys={{'backbone.layer1': dict(lr_mult=0.)}}))",
        [],
        '12 pretrained parameters have a learning rate of zero '
        '(backbone.layer1.0.conv1.weight, ',
    ),
    'normalised twice': (
        'val_dataloader = dict(dataset=dict(pipeline=[dict('
        "type='mmcv.Normalize', mean=[0], std=[1])]))",
        [],
        'val_dataloader has Normalize: it normalises pixels',
    ),
    'another stem': (
        'model.backbone.deep_stem = True',
        [],
        '18 missing in the file: stem.0',
    ),
}


@pytest.mark.parametrize('case', REFUSED)
def test_what_the_config_does_wrong(verify, backbone_file, case):
    addition, options, message = REFUSED[case]
    file = backbone_file(64)
    words = ['--cfg-options', *options] if options else []
    code, text = verify(f'{C4}{addition}\n', file, file, *words)
    assert code == 1
    assert message in text
    # No block of the backbone itself is taken for a head that could load it.
    assert ('has a place for' in text) == ('has a place for' in message)


def test_a_checkpoint_that_is_loaded_over_it(verify, backbone_file, tmp_path):
    file = backbone_file(64)
    weights = read_checkpoint(file)['state_dict']
    over = prefixed('backbone.', {k: v + 1 for k, v in weights.items()})
    torch.save({'state_dict': over}, tmp_path / 'detector.pth')
    code, text = verify(
        C4, file, file, '--cfg-options', 'load_from=detector.pth'
    )
    assert code == 1
    assert '90 of 120 tensors are not those' in text
    assert "load_from='detector.pth' is read after the backbone" in text


def test_the_file_of_the_config_is_the_one_that_counts(
    verify, backbone_file, tmp_path
):
    file = backbone_file(64)
    code, text = verify(C4, 'backbone.pth', file)
    assert (code, 'with --pretrained FILE' in text) == (1, True)
    code, text = verify(C4, 'backbone.pth', file, '--pretrained', str(file))
    assert code == 0, text
    code, text = verify(C4, file, tmp_path / 'none.pth')
    assert (code, 'no checkpoint at' in text) == (2, True)


def test_a_detector_that_was_trained_is_not_its_beginning(
    verify, backbone_file, tmp_path
):
    file = backbone_file(64)
    weights = read_checkpoint(file)['state_dict']
    moved = prefixed('backbone.', {k: v + 1 for k, v in weights.items()})
    meta = {'sce_mm_transfer': 'c0ffee'}
    torch.save({'state_dict': moved, 'meta': meta}, tmp_path / 'epoch_1.pth')
    code, text = verify(C4, file, tmp_path / 'epoch_1.pth')
    assert code == 1
    assert 'of a training that began from a backbone file' in text
    assert f'sce verify {tmp_path / "detector.py"} {file}' in text
    assert 'export it again' not in text


def test_a_linear_evaluation_may_freeze(verify, backbone_file):
    file = backbone_file(16)
    others = (
        "custom_hooks = [dict(type='EMAHook')]\n"
        "optim_wrapper = dict(backbone=dict(type='OptimWrapper'))\n"
    )
    code, text = verify(CLASSIFIER + others, file, file, '--allow-frozen')
    assert code == 0, text
    # What it cannot try is named.
    assert 'custom_hooks (EMAHook) are not run here' in text
    assert 'rates of several optimisers are compared by the' in text
    code, text = verify(CLASSIFIER, file, file)
    assert (code, 'pretrained parameters are frozen' in text) == (1, True)
    narrow = ['--allow-frozen', '--cfg-options', 'model.head.in_channels=64']
    code, text = verify(CLASSIFIER, file, file, *narrow)
    assert 'model.head.fc expects 64 channels and gets 128' in text
    hook = "custom_hooks = [dict(type='PretrainedBackboneHook')]\n"
    code, text = verify(CLASSIFIER + hook, file, file)
    assert (code, 'compares every tensor itself' in text) == (1, True)


def test_a_file_that_does_not_say_what_pixels_it_expects(
    verify, backbone_file
):
    file = backbone_file(16, mean=None)
    words = ['--allow-frozen']
    code, text = verify(CLASSIFIER, file, file, *words)
    assert (code, 'export it again with --mean' in text) == (1, True)
    code, text = verify(CLASSIFIER, file, file, *words, '--allow-unknown')
    assert code == 0, text
