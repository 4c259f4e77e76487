"""What cannot be made right is refused, and the reason is the real one."""

import copy
import runpy
import sys

import mmdet
import pytest
import torch
from mmdet.models import FPN
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.models import ResNet
from transfer_files import METADATA

from sce_mm.cli.config_edits import set_pretrained
from sce_mm.cli.exit import message_of
from sce_mm.config.rate_batch import AS_SAID, RateBatch, batch_of_rate
from sce_mm.detection.adapt import adapt
from sce_mm.detection.adapt.classes import class_notes, class_problems
from sce_mm.detection.adapt.heads import adapt_heads
from sce_mm.downstream import (
    AdaptError,
    BackboneFile,
    ConfigEdits,
    load_base,
    start_at_random,
)
from sce_mm.downstream.networks import ANY_NETWORK, network_kind
from sce_mm.downstream.norms import give_norm
from sce_mm.downstream.verification import add_verification
from sce_mm.transfer import (
    Backbone,
    extract_backbone,
    read_checkpoint,
    save_backbone,
    tensor_hash,
)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.usefixtures('mmdet_modules'),
]

SMALL = """
model = dict(backbone=dict(depth=18, base_channels=16),
             neck=dict(in_channels=[16, 32, 64, 128]))
"""


@pytest.fixture(scope='module')
def atss():
    base = "_base_ = 'mmdet::atss/atss_r50_fpn_1x_coco.py'\n"
    return Config.fromstring(base + SMALL, '.py')


@pytest.fixture
def change(atss, backbone_file):
    """``change(changes, **metadata)``: adapt ATSS with the changes."""

    def call(
        changes,
        processes=1,
        batch=None,
        cfg=atss,
        rate_batch=AS_SAID,
        **metadata,
    ):
        cfg = copy.deepcopy(cfg)
        cfg.merge_from_dict(changes)
        path = backbone_file(16, **metadata)
        file = BackboneFile(path, extract_backbone(read_checkpoint(path)))
        # Names and shapes are what it looks at.
        with torch.device('meta'):
            return adapt(cfg, file, processes, batch, rate_batch)

    return call


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            {'model.backbone.depth': 34},
            r'is a ResNet-34, .* of a ResNet-18: .* _base_.*depth = 18',
        ),
        (
            {'model.backbone.depth': 34, 'model.backbone.base_channels': 64},
            r'depth = 18 and _base_\.model\.backbone\.base_channels = 16$',
        ),
        (
            {'model.backbone.base_channels': 64},
            'lines? _base_.model.backbone.base_channels = 16',
        ),
        ({'model.teacher_ckpt': 'coco.pth'}, 'ATSS learns from a teacher'),
        ({'model.detector': {'type': 'ATSS'}}, 'is inside of a ATSS'),
        ({'model.backbone': None}, 'no model.backbone, a ATSS has its'),
        ({'model': None}, 'the config has no model: give'),
        (
            {'default_scope': 'mmpretrain', 'model.type': 'SCE'},
            'one of mmpretrain .its model is a SCE., expected one of mmdet$',
        ),
        ({'default_scope': 'mmseg'}, 'sce segmentor takes this one'),
        (
            {'model.backbone.conv_cfg': {'type': 'ConvWS'}},
            'the weights are for plain convolutions',
        ),
        (
            {'model.backbone.num_stages': 3},
            'no place for layer4, .* part of the file',
        ),
        (
            {'model.backbone.type': 'Darknet'},
            'is a Darknet-18, and the weights',
        ),
        (
            {'model.data_preprocessor.type': 'MultiBranchDataPreprocessor'},
            'expected DetDataPreprocessor',
        ),
        (
            {'tta_pipeline': [{'transforms': [[{'type': 'Normalize'}]]}]},
            'a pipeline has Normalize',
        ),
        (
            {
                'train_dataloader.dataset.pipeline.0': {
                    'type': 'mmpretrain.NumpyToPIL',
                    'to_rgb': True,
                }
            },
            'which leaves red and blue swapped',
        ),
        (
            {'train_dataloader.dataset.pipeline.0.color_type': 'grayscale'},
            "color_type='grayscale'",
        ),
        ({'model.neck.nonsense': 1}, 'the config builds no ATSS'),
        ({'model.neck.num_outs': 1}, 'ATSS: AssertionError at assert num_out'),
        (
            {'model.backbone.num_stages': 5},
            'builds no ResNet, under model.backbone',
        ),
        (
            {
                'optim_wrapper.paramwise_cfg': {
                    'custom_keys': {'backbone': {'lr_mult': 0}}
                }
            },
            'parameters have a learning rate of zero .backbone.conv1.weight,',
        ),
        # Whatever the key is called.
        (
            {
                'optim_wrapper.paramwise_cfg': {
                    'custom_keys': {'layer1.0.conv1': {'lr_mult': 0.0}}
                }
            },
            '1 pretrained parameters have .*backbone.layer1.0.conv1.weight',
        ),
        ({'auto_scale_lr': {'_delete_': True}}, 'say for what batch its lear'),
        ({'optim_wrapper.optimizer': {'_delete_': True}}, 'cannot be scaled'),
        ({'train_dataloader': None}, 'the config has no train_dataloader'),
    ],
)
def test_configs(change, changes, message):
    with pytest.raises(AdaptError, match=message):
        change(changes, batch=2)


def pyramid_file(backbone_file, folder, **options):
    """Backbone file with the pyramid of these options in it."""
    torch.manual_seed(0)
    pyramid = FPN([16, 32, 64, 128], 256, **{'num_outs': 4, **options})
    given = extract_backbone(read_checkpoint(backbone_file(16)))
    backbone = given._replace(pyramid=pyramid.state_dict())
    backbone.meta['sha256'] = tensor_hash(backbone.tensors)
    path = folder / 'backbone.pth'
    save_backbone(path, backbone)
    return BackboneFile(path, backbone)


NORM = {'type': 'BN', 'requires_grad': True}
# ATSS leaves the first stage out and makes two more levels.
OF_ATSS = {'start_level': 1, 'add_extra_convs': 'on_output', 'num_outs': 5}


@pytest.mark.parametrize(
    ('options', 'norm'),
    [
        ({'norm_cfg': NORM, **OF_ATSS}, 'SyncBN'),
        (OF_ATSS, None),
        ({'norm_cfg': NORM}, 'SyncBN'),
    ],
    ids=['the same', 'without norm', 'another'],
)
def test_a_pyramid_goes_into_the_same_neck_alone(
    atss, backbone_file, tmp_path, options, norm
):
    file = pyramid_file(backbone_file, tmp_path, **options)
    edits, _ = adapt(atss, file)
    neck = edits.get('model.neck')
    assert (neck.get('norm_cfg') or {}).get('type') == norm
    if 'start_level' in options:
        assert neck.init_cfg.prefix == 'pyramid.'
        assert neck.init_cfg.checkpoint == str(file.path)
        assert not any('left out' in note for note in edits.notes)
        # For the comparison with random initialisation.
        start_at_random(edits)
        assert edits.get('model.neck.init_cfg.prefix') is None
    else:
        assert 'init_cfg' not in neck
        (note,) = edits.notes
        assert 'have a feature pyramid, which is left out' in note
        assert 'fpn_convs' in note


@pytest.mark.parametrize('own', [True, False])
def test_norms_keep_their_eps_and_momentum(own):
    settings = {'eps': 2e-3, 'momentum': 0.2}
    part = {'type': 'mmpretrain.MobileNetV3', 'arch': 'small_075'}
    if own:
        part['norm_cfg'] = {'type': 'BN', 'requires_grad': False, **settings}
    else:
        # Those of the class.
        settings = {'eps': 1e-3, 'momentum': 0.01}
    edits = ConfigEdits(Config({'model': {'backbone': part}}))
    give_norm(edits, 'model.backbone', 'trained')
    norm = edits.get('model.backbone.norm_cfg')
    assert norm == {'type': 'SyncBN', 'requires_grad': True, **settings}


@pytest.mark.parametrize(
    ('theirs', 'expected'),
    [
        ({}, ['backbone.norm0.', 'backbone.norm1.']),
        (
            {'expected_missing': ('backbone.adapter.', 'backbone.norm1.')},
            ['backbone.adapter.', 'backbone.norm1.', 'backbone.norm0.'],
        ),
    ],
)
def test_a_hook_of_the_user_still_expects_what_he_named(theirs, expected):
    hook = {'type': 'VerifyTransferHook', **theirs}
    edits = ConfigEdits(Config({'custom_hooks': [hook]}))
    edits.new = ['backbone.norm0.', 'backbone.norm1.']
    add_verification(edits, 'sce_mm.detection')
    assert edits.get('custom_hooks[0].expected_missing') == expected
    assert edits.get('default_hooks') is None


def test_accumulation_is_not_scaled_again(change):
    counts = {'optim_wrapper.accumulative_counts': 8}
    edits, _ = change({**counts, 'auto_scale_lr.enable': True}, batch=2)
    assert edits.get('optim_wrapper.optimizer.lr') == 0.01
    assert edits.get('auto_scale_lr.enable') is False


def test_the_batch_of_a_rate_is_that_of_the_name_beside_it(tmp_path, change):
    stock = 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'
    mine = tmp_path / 'mine.py'
    for text, batch in (
        ('', 256),
        ('model = dict()\n', 256),
        # A rate of one's own, and a batch that one has written down.
        ('optim_wrapper = dict(optimizer=dict(lr=0.1))\n', None),
        ('auto_scale_lr = dict(base_batch_size=16)\n', None),
        ('auto_scale_lr = {"base_batch_size": 16}\n', None),
        ('_base_.auto_scale_lr.base_batch_size = 16\n', None),
        # What says nothing of a batch.
        ('# no base_batch_size\n', 256),
        ('auto_scale_lr = dict(enable=True)\n', 256),
    ):
        mine.write_text(f'_base_ = {stock!r}\n{text}')
        name = str(mine) if text else stock
        assert batch_of_rate(name, load_base(name)[0]).images == batch
    # A rate that is inherited is for the batch that it was set for.
    mine = tmp_path / 'my_1xb2-nuclei.py'
    for base, batch in (
        (stock, 256),
        ('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py', None),
    ):
        mine.write_text(f'_base_ = {base!r}\n')
        name = str(mine)
        assert batch_of_rate(name, load_base(name)[0]).images == batch
    mine.write_text('optim_wrapper = dict(optimizer=dict(lr=0.1))\n')
    assert batch_of_rate(name, load_base(name)[0]).images == 2
    edits, line = change({}, batch=2, rate_batch=RateBatch(8, 'as I say'))
    assert 'rate 0.0025 for 1 process x 2 images' in line
    (note,) = edits.notes
    assert edits.get('auto_scale_lr.base_batch_size') == 2
    # The right rate already, beside the batch of another.
    edits, _ = change({}, batch=2, rate_batch=RateBatch(2))
    assert edits.get('optim_wrapper.optimizer.lr') == 0.01
    assert edits.get('auto_scale_lr.base_batch_size') == 2
    edits, line = change({}, batch=2, rate_batch=RateBatch(8, 'as I say'))
    (note,) = edits.notes
    assert 'of 8, as I say, though' in note


def test_a_data_preprocessor_at_the_top_goes_into_the_model(atss, change):
    edits, _ = change(
        {
            'data_preprocessor': atss.model.data_preprocessor,
            'model.data_preprocessor': None,
        }
    )
    kind = edits.get('model.data_preprocessor.type')
    assert kind == atss.model.data_preprocessor.type


def test_group_norms_stay_group_norms(atss, tmp_path):
    norm = {'type': 'GN', 'num_groups': 4}
    network = ResNet(18, base_channels=16, stem_channels=16, norm_cfg=norm)
    weights = network.state_dict()
    meta = {**METADATA, 'arch': 'ResNet-18', 'sha256': tensor_hash(weights)}
    file = BackboneFile(tmp_path / 'gn.pth', Backbone(weights, meta))
    cfg = copy.deepcopy(atss)
    with pytest.raises(AdaptError, match='do not fit'):
        adapt(copy.deepcopy(cfg), file)
    cfg.model.backbone.norm_cfg = norm
    edits, _ = adapt(cfg, file)
    assert edits.get('model.backbone.norm_cfg') == norm


@pytest.mark.parametrize('stem', [16, 64])
@pytest.mark.parametrize(
    'before',
    [
        {'depth': 50, 'base_channels': 64},
        {'base_channels': 32, 'stem_channels': 32},
        {'stem_channels': 8},
        {'type': 'ResNeXt', 'depth': 50},
    ],
)
def test_the_lines_of_a_refusal_make_the_config_fit(
    atss, tmp_path, stem, before
):
    network = ResNet(18, base_channels=16, stem_channels=stem)
    weights = network.state_dict()
    meta = {**METADATA, 'arch': 'ResNet-18', 'sha256': tensor_hash(weights)}
    file = BackboneFile(tmp_path / 'narrow.pth', Backbone(weights, meta))
    cfg = copy.deepcopy(atss)
    cfg.merge_from_dict({f'model.backbone.{k}': v for k, v in before.items()})
    cfg.model.neck.in_channels = [256, 512, 1024, 2048]
    with pytest.raises(AdaptError) as error:
        adapt(copy.deepcopy(cfg), file)
    lines = str(error.value).partition('has the line')[2].lstrip('s ')
    exec(lines.replace(' and _base_', '\n_base_'), {'_base_': cfg})
    adapt(cfg, file)


def test_a_resnet_of_ones_own_is_one(change):
    class OwnResNet(mmdet.models.ResNet):
        """With an adapter."""

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.adapter = torch.nn.Linear(2, 2)

    MODELS.register_module(module=OwnResNet, force=True)
    backbone = 'model.backbone.'
    with pytest.raises(AdaptError, match=r'adapter\.weight'):
        change({backbone + 'type': 'OwnResNet'})
    hook = {
        'type': 'VerifyTransferHook',
        'expected_missing': ['backbone.adapter.'],
    }
    edits, _ = change({backbone + 'type': 'OwnResNet', 'custom_hooks': [hook]})
    assert edits.get(backbone + 'init_cfg.type') == 'Pretrained'
    assert edits.get(backbone + 'type') == 'OwnResNet'
    assert 'backbone.adapter.' in edits.get('custom_hooks[0].expected_missing')
    with pytest.raises(AdaptError, match=r'OwnResNet-50.*depth = 18') as error:
        change({backbone + 'type': 'OwnResNet', backbone + 'depth': 50})
    assert 'dict(' not in str(error.value)


def test_networks_of_mmdet_alone_are_no_resnets(backbone_file):
    path = backbone_file(16)
    weights, meta, _ = extract_backbone(read_checkpoint(path))
    tensors = {f'stage9.{name}': t for name, t in weights.items()}
    file = Backbone(tensors, {**meta, 'arch': 'CSPNeXt'})
    assert network_kind(BackboneFile(path, file)) is ANY_NETWORK


def test_files_that_say_too_little(change):
    with pytest.raises(
        AdaptError, match=r'not say their mean, std: .* --mean --'
    ):
        change({}, mean=None, std=None)


def test_classes_of_the_labels(change, scenes):
    labels = {
        'train_dataloader.dataset.data_root': str(scenes),
        'train_dataloader.dataset.ann_file': 'train.json',
    }
    with pytest.raises(AdaptError) as error:
        change(labels)
    for name in ("'person'", "'cup', 'jar'", 'num_classes = 2'):
        assert name in str(error.value)
    # Once, though data sets and metric read the same file.
    labels['val_dataloader.dataset.data_root'] = str(scenes)
    labels['val_dataloader.dataset.ann_file'] = 'train.json'
    labels['val_evaluator.ann_file'] = str(scenes / 'train.json')
    for part in ('train', 'val'):
        key = f'{part}_dataloader.dataset.metainfo'
        labels[key] = {'classes': ('jar',)}
    edits, _ = change(labels)
    assert len([n for n in edits.notes if "objects of 'cup'" in n]) == 1
    assert len([n for n in edits.notes if 'bbox_head.num_classes: ' in n]) == 1


@pytest.mark.parametrize(('size', 'noted'), [(3, 1), (2, 0), (1, 0)])
def test_outputs_for_more_classes_than_there_are_are_noted(
    scenes, size, noted
):
    labels = {
        'data_root': str(scenes),
        'ann_file': 'train.json',
        'metainfo': {'classes': ('cup', 'jar')},
    }
    cfg, _ = load_base('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py')
    cfg.train_dataloader.dataset.update(labels)
    cfg.model.roi_head.bbox_head.num_classes = size
    notes = list(class_notes(cfg))
    assert len(notes) == noted
    key = 'model.roi_head.bbox_head.num_classes'
    assert all(f'{key}: {size}, but' in note for note in notes)
    assert all('Set it to 2' in note for note in notes)


def test_words_of_a_text_are_no_classes():
    name = 'grounding_dino_swin-t_finetune_16xb4_1x_coco.py'
    cfg, _ = load_base(f'mmdet::mm_grounding_dino/coco/{name}')
    assert cfg.model.bbox_head.num_classes > 80
    assert not [*class_notes(cfg)]


def test_things_of_a_panoptic_head_are_classes(scenes):
    name = 'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py'
    cfg, _ = load_base(name)
    data = cfg.train_dataloader.dataset
    data.data_root, data.ann_file = str(scenes), 'train.json'
    data.metainfo = {'classes': ('cup', 'jar')}
    cfg.val_cfg = None
    assert list(class_problems(cfg)) == []
    cfg.model.panoptic_head.num_things_classes = 1
    cfg.model.panoptic_fusion_head.num_things_classes = 1
    heads = [text.partition(':')[0] for text in class_problems(cfg)]
    assert heads == [
        'model.panoptic_head.num_things_classes',
        'model.panoptic_fusion_head.num_things_classes',
    ]


@pytest.mark.parametrize(
    ('width', 'groups'), [(256, 32), (64, 32), (32, 16), (8, 4)]
)
def test_a_group_of_channels_has_a_variance_in_a_single_pixel(
    change, width, groups
):
    base = "_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'\n"
    cfg = Config.fromstring(base + SMALL, '.py')
    head = 'model.bbox_head.'
    keys = f'{head}feat_channels', f'{head}in_channels'
    widths = dict.fromkeys((*keys, 'model.neck.out_channels'), width)
    edits, _ = change(widths, cfg=cfg)
    assert edits.get(head + 'norm_cfg.num_groups') == groups
    norm = torch.nn.GroupNorm(groups, width)
    assert norm(torch.randn(1, width, 1, 1)).isfinite().all()


def test_classes_of_other_data_sets_count_too(change):
    data = {'type': 'VOCDataset', 'ann_file': 'ImageSets/Main/train.txt'}
    labels = {'train_dataloader.dataset': {'_delete_': True, **data}}
    with pytest.raises(AdaptError, match=r'num_classes: 2, but .* 20 classes'):
        change({**labels, 'model.bbox_head.num_classes': 2})
    change({**labels, 'model.bbox_head.num_classes': 20})


def test_box_heads_are_no_wider_than_those_of_a_pyramid():
    name = 'mmdet::faster_rcnn/faster-rcnn_r50-caffe-dc5_1x_coco.py'
    edits = ConfigEdits(load_base(name)[0])
    with DefaultScope.overwrite_default_scope('mmdet'):
        adapt_heads(edits)
    head = edits.get('model.roi_head.bbox_head')
    assert (head.in_channels, head.conv_out_channels) == (2048, 256)


def test_rates_batches_and_what_would_load_over(change):
    edits, line = change(
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
    cfg = edits.cfg
    # 4 x 3 x 2 images instead of 16.
    assert cfg.optim_wrapper.optimizer.lr == 0.015
    assert cfg.param_scheduler[1].eta_min == 1.5e-5
    assert cfg.auto_scale_lr == {'enable': False, 'base_batch_size': 24}
    assert 'rate 0.015 for 4 processes x 3 images x 2 accumulated' in line
    assert cfg.train_dataloader.batch_size == 3
    assert cfg.load_from is None
    assert cfg.custom_imports.imports == ['json', 'sce_mm.detection']
    assert cfg.custom_hooks == [{'type': 'NumClassCheckHook'}]
    assert cfg.default_hooks.verify_transfer.type == 'VerifyTransferHook'


def test_bgr_weights_keep_their_order(change):
    edits, _ = change({}, channel_order='bgr', mean=[1.0, 2.0, 3.0])
    preprocessor = edits.cfg.model.data_preprocessor
    assert preprocessor.bgr_to_rgb is False
    assert preprocessor.mean == [1.0, 2.0, 3.0]


def test_what_is_right_already_is_left_alone(change):
    edits, _ = change({}, processes=8)
    assert all(c.path != 'optim_wrapper.optimizer.lr' for c in edits.changes)
    again, _ = change({}, processes=8, cfg=edits.cfg)
    assert again.changes == []


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
        {'init_cfg': [{'type': 'Kaiming'}, ELSEWHERE]},
    ],
)
def test_a_second_backbone_is_as_the_first(change, loads, tmp_path):
    edits, _ = change(
        {'model.neck': {'type': 'FPNWithBackbone', 'second': SECOND | loads}}
    )

    def parts():
        return edits.cfg.model.backbone, edits.cfg.model.neck.second

    first, second = parts()
    for key in ('init_cfg', 'frozen_stages', 'norm_eval', 'norm_cfg'):
        assert second[key] == first[key]
    assert second.get('pretrained') is None
    assert all(' loads ' not in note for note in edits.notes)
    other = tmp_path / 'other.pth'
    other.touch()
    set_pretrained(edits.cfg, str(other))
    assert [p.init_cfg.checkpoint for p in parts()] == [str(other)] * 2
    start_at_random(edits)
    first, second = parts()
    assert first.init_cfg is second.init_cfg is None
    assert edits.cfg.default_hooks.verify_transfer is None
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
            {'custom_hooks': [{'type': 'MyHook', 'ckpt_path': 'mine.pth'}]},
            'custom_hooks[0].ckpt_path',
            'mine.pth',
        ),
    ],
)
def test_what_loads_from_elsewhere_is_named(change, changes, where, what):
    edits, _ = change(changes)
    text = f'{where} loads {what}'
    assert [n for n in edits.notes if n.startswith(text)]
    with pytest.raises(AdaptError) as error:
        start_at_random(edits)
    assert f'{where} loads' in str(error.value)


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('{folder}/none.py', 'no config at'),
        ('{folder}/broken.py', 'cannot read .*SyntaxError: '),
        ('{folder}/brokken.py', "did you mean 'broken.py'"),
        # Of mmdet 2, and without a folder.
        (
            'mmdet::faster_rcnn_r50_fpn_1x_coco',
            "did you mean 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'",
        ),
        ('mmdett::atss/atss_r50_fpn_1x_coco.py', "did you mean 'mmdet'"),
        (
            'mmdet::legacy_1.x/faster-rcnn_r50_fpn_1x_coco_v1.py',
            'give the path of its file instead',
        ),
    ],
)
def test_sources_that_are_no_config(name, message, tmp_path):
    (tmp_path / 'broken.py').write_text('model = dict(')
    with pytest.raises((FileNotFoundError, AdaptError), match=message):
        load_base(name.format(folder=tmp_path))


MISTAKES = [
    # Option or file of the command, what is answered.
    (['--gpus', '0'], '--gpus: expected a whole number above 0'),
    (['{folder}/new.txt'], 'a name that ends in .py'),
    (['{folder}/out.py'], 'add --overwrite'),
    (['{folder}/base.py', '--overwrite'], 'OUT and CONFIG are the same'),
    (['{folder}/below.py', '--overwrite'], 'OUT and a file that CONFIG inh'),
    # Nobody knows what pixels these weights are for.
    (['{folder}/epoch_1.pth', '{folder}/out.py', '--overwrite'], '--chann'),
]


@pytest.mark.parametrize(('words', 'message'), MISTAKES)
def test_files_and_options(
    words, message, root, backbone_file, tmp_path, monkeypatch, capsys
):
    (tmp_path / 'out.py').write_text('x = 1\n')
    base = tmp_path / 'base.py'
    below = tmp_path / 'below.py'
    below.write_text("_base_ = 'mmdet::atss/atss_r50_fpn_1x_coco.py'\n")
    base.write_text("_base_ = './below.py'\n")
    tensors = {f'backbone.{k}': v for k, v in ResNet(18).state_dict().items()}
    whole = tmp_path / 'epoch_1.pth'
    torch.save({'state_dict': tensors, 'meta': {}}, whole)
    words = [word.format(folder=tmp_path) for word in words]
    places = [w for w in words if w.startswith(str(tmp_path))]
    defaults = [str(base), str(backbone_file(16)), str(tmp_path / 'new.py')]
    files = [*defaults[: 3 - len(places)], *places]
    tool = runpy.run_path(str(root / 'tools' / 'make_detection_config.py'))
    others = [w for w in words if w not in places]
    monkeypatch.setattr(sys, 'argv', ['tool', *files, *others])
    with pytest.raises((SystemExit, ValueError, FileExistsError)) as error:
        tool['main']()
    assert message in (message_of(error.value) or capsys.readouterr().err)
    assert not (tmp_path / 'out_backbone.pth').exists()
    assert (tmp_path / 'out.py').read_text() == 'x = 1\n'
