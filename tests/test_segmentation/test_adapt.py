"""What changes in a segmentor's config, and what is refused."""

import copy

import pytest
import torch
from mmengine.config import Config

from sce_mm.config.rate_batch import RateBatch, batch_of_rate
from sce_mm.downstream import AdaptError, BackboneFile, start_at_random
from sce_mm.segmentation.segmentor import adapt
from sce_mm.transfer import extract_backbone, read_checkpoint

pytestmark = pytest.mark.integration

SMALL = """
_base_ = 'mmseg::fcn/fcn_r50-d8_4xb4-20k_voc12aug-512x512.py'
model = dict(
    backbone=dict(depth=18, base_channels=16, stem_channels=16),
    decode_head=dict(in_channels=128, channels=8),
    auxiliary_head=dict(in_channels=64, channels=8))
"""


@pytest.fixture(scope='module')
def fcn():
    return Config.fromstring(SMALL, '.py')


@pytest.fixture
def change(fcn, backbone_file):
    """``change(changes, **metadata)``: adapt FCN with the changes."""

    def call(changes, processes=4, batch=None, base=16, cfg=fcn, **metadata):
        cfg = copy.deepcopy(cfg)
        cfg.merge_from_dict(changes)
        path = backbone_file(16, **metadata)
        file = BackboneFile(path, extract_backbone(read_checkpoint(path)))
        # Names and shapes are what it looks at.
        with torch.device('meta'):
            return adapt(
                cfg, file, processes, batch, RateBatch(base, 'as I say')
            )

    return call


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'model.backbone.depth': 34}, 'the depths or the kinds'),
        # Its deep stem is the least of the differences.
        (
            {'model.backbone.type': 'ResNeSt', 'model.backbone.depth': 50},
            'the depths or the kinds',
        ),
        (
            {
                'model.backbone.num_stages': 3,
                'model.backbone.strides': (1, 2, 1),
                'model.backbone.dilations': (1, 1, 2),
                'model.backbone.out_indices': (0, 1, 2),
            },
            r'do not fit(.|\n)*layer4',
        ),
        (
            {'model.backbone.type': 'MixVisionTransformer'},
            'is a MixVisionTransformer, and the weights are of a ResNet',
        ),
        (
            {'model.backbone': {'backbone_cfg': {'type': 'ResNetV1c'}}},
            'has the network of the weights inside of it, at backbone_cfg',
        ),
        (
            {'train_dataloader.dataset.datasets.0.metainfo.classes': ['a']},
            'decode_head.num_classes: 21, but train_dataloader.dataset.datase'
            r'ts\[0\] has 1 classes \(a\): set it to 1',
        ),
        (
            {
                'test_pipeline': [{'type': 'LoadSingleRSImageFromFile'}],
            },
            'not the blue, green and red of OpenCV',
        ),
        ({'model': {'_delete_': True}}, 'the config has no model.backbone'),
        (
            {'model.data_preprocessor.type': 'BaseDataPreprocessor'},
            'expected SegDataPreProcessor',
        ),
        ({'model.decode_head.nonsense': 1}, 'builds no EncoderDecoder'),
    ],
)
def test_configs_that_cannot_be_made_right(change, changes, message):
    with pytest.raises(AdaptError, match=message):
        change(changes)


def test_the_batch_of_the_rate_must_be_known(change):
    with pytest.raises(AdaptError, match='for what batch its learning rate'):
        change({}, base=None)
    # What the config says is better than its name.
    said = {'auto_scale_lr': {'base_batch_size': 8}}
    edits, _ = change(said, processes=1, base=None)
    assert edits.cfg.optim_wrapper.optimizer.lr == 0.005


def test_the_batch_is_in_the_name_of_a_base_with_variables(tmp_path):
    base = tmp_path / 'fcn_4xb2-40k_mine.py'
    base.write_text('optim_wrapper = dict(optimizer=dict(lr=0.01))')
    mine = tmp_path / 'mine.py'
    for folder in ('{{ fileDirname }}', '{{ $NOWHERE:. }}'):
        mine.write_text(f"_base_ = '{folder}/{base.name}'")
        cfg = Config.fromfile(mine)
        assert batch_of_rate(str(mine), cfg).images == 8
    mine = tmp_path / 'mine_1xb2-nuclei.py'
    mine.write_text(f"_base_ = './{base.name}'")
    assert batch_of_rate(str(mine), Config.fromfile(mine)).images == 8


def test_stem_loads_rate_and_proof(change, backbone_file):
    edits, line = change({'load_from': 'whole.pth'}, processes=1, batch=8)
    cfg = edits.cfg
    assert cfg.model.backbone.type == 'ResNet'
    assert cfg.model.pretrained is cfg.load_from is None
    init_cfg = cfg.model.backbone.init_cfg
    assert init_cfg.checkpoint == str(backbone_file(16))
    assert cfg.model.backbone.dilations == (1, 1, 2, 4)
    assert cfg.optim_wrapper.optimizer.lr == 0.005
    assert cfg.param_scheduler[0].eta_min == 5e-5
    assert cfg.auto_scale_lr == {'enable': False, 'base_batch_size': 8}
    assert 'rate 0.005 for 1 process x 8 images' in line
    # The schedule stays; how much less it sees is said.
    assert cfg.train_cfg.max_iters == 20000
    (note,) = edits.notes
    assert '0.5 times the images' in note
    assert '40000 iterations' in note
    assert cfg.custom_imports.imports == ['sce_mm.segmentation']
    assert cfg.default_hooks.verify_transfer.type == 'VerifyTransferHook'
    assert all(c.reason for c in edits.changes)
    start_at_random(edits)
    assert edits.cfg.model.backbone.init_cfg is None
    assert edits.cfg.default_hooks.verify_transfer is None
    edits.cfg.custom_hooks = [{'type': 'MyHook', 'ckpt_path': 'mine.pth'}]
    with pytest.raises(AdaptError, match='EncoderDecoder, cannot'):
        start_at_random(edits)


@pytest.mark.parametrize('kind', ['ResNetV1d', 'mmseg.ResNetV1c', 'ResNet'])
def test_plain_weights_get_a_plain_network(change, kind):
    options = {'model.backbone.type': kind}
    if kind == 'ResNet':
        options |= dict.fromkeys(
            ('model.backbone.deep_stem', 'model.backbone.avg_down'), True
        )
    backbone = change(options)[0].cfg.model.backbone
    assert backbone.type == 'ResNet'
    assert not backbone.get('deep_stem')
    assert not backbone.get('avg_down')


def test_norms_of_heads_are_trained(change):
    frozen = {'type': 'BN', 'requires_grad': False}
    group = {'type': 'GN', 'num_groups': 4}
    edits, _ = change(
        {
            'model.decode_head.norm_cfg': frozen,
            'model.auxiliary_head.norm_cfg': {'_delete_': True, **group},
        }
    )
    trained = {'type': 'SyncBN', 'requires_grad': True}
    assert edits.cfg.model.decode_head.norm_cfg == trained
    assert edits.cfg.model.auxiliary_head.norm_cfg == group


def test_bgr_weights_keep_their_order_and_a_second_call_changes_nothing(
    change,
):
    bgr = {'channel_order': 'bgr', 'mean': [1.0, 2.0, 3.0]}
    edits, _ = change({}, **bgr)
    preprocessor = edits.cfg.model.data_preprocessor
    assert preprocessor.bgr_to_rgb is False
    assert preprocessor.mean == [1.0, 2.0, 3.0]
    again, _ = change({}, cfg=edits.cfg, **bgr)
    assert again.changes == []
