"""What a verification finds in a model, without any mmdet."""

import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModule, PretrainedInit
from mmpretrain.models import ResNet, SwinTransformer, VisionTransformer
from networks import VIT
from torch import nn
from transfer_files import METADATA, trained
from verified_model import INIT, loaded_model

from sce_mm.engine import TransferMetaHook, VerifyTransferHook
from sce_mm.transfer import Backbone, extract_backbone
from sce_mm.transfer.metadata import (
    attention_heads,
    describe_backbone,
    setting_differences,
    settings_of,
    stride_style,
)
from sce_mm.transfer.verify.load_report import modules_of
from sce_mm.transfer.verify.pipelines import (
    images_of,
    level_notes,
    level_problems,
    pipeline_problems,
)
from sce_mm.transfer.verify.verify import VerifyOptions, verify_transfer
from sce_mm.utils.errors import UserError

PIXELS = {name: METADATA[name] for name in ('channel_order', 'mean', 'std')}


@pytest.fixture
def backbone():
    weights, meta, _ = extract_backbone(trained(width=8))
    return Backbone(weights, meta | METADATA)


@pytest.fixture
def model(backbone):
    return loaded_model(backbone)


def verified(model, backbone, **options):
    return verify_transfer(model, backbone, {}, [], VerifyOptions(**options))


def test_each_tensor_of_a_right_model_is_counted_once(model, backbone):
    result = verified(model, backbone)
    assert result.problems == ()
    assert sum(result.norms.values()) == 21
    load = result.load
    assert len(load.loaded) == 120
    assert {n.rsplit('.', 1)[0] for n in load.expected_missing} == {
        'roi_head.shared_head.norm'
    }
    assert load.mismatched == load.missing == load.unexpected == ()


def test_a_run_that_is_resumed_needs_no_file():
    logger = logging.getLogger('resumed')
    runner = SimpleNamespace(iter=1, model=nn.Identity(), logger=logger)
    VerifyTransferHook().before_train(runner)


def test_one_bit_and_another_type_are_seen(model, backbone):
    with torch.no_grad():
        model.backbone.bn1.bias[0] += 1e-7
    model.backbone.conv1.double()
    result = verified(model, backbone)
    assert result.load.mismatched == (
        'backbone.conv1.weight',
        'backbone.bn1.bias',
    )
    (problem,) = result.problems
    assert '2 of 120 tensors are not those of the file' in problem


def test_missing_and_unexpected_tensors_are_seen(model, backbone):
    backbone.weights['new'] = torch.ones(1)
    model.backbone.adapter = nn.BatchNorm2d(8)
    result = verified(model, backbone)
    assert len(result.load.missing) == 5
    assert result.load.unexpected == ('new',)
    (problem,) = result.problems
    assert '5 missing in the file: adapter.weight' in problem
    assert 'that the model has no place for: new' in problem


def test_names_of_the_config_add_to_those_that_are_always_new(model, backbone):
    model.backbone.adapter = nn.BatchNorm2d(8)
    hook = VerifyTransferHook(expected_missing=['backbone.adapter.'])
    result = verify_transfer(model, backbone, {}, [], hook.options)
    assert result.problems == ()
    assert modules_of(result.load.expected_missing) == [
        'backbone.adapter.',
        'roi_head.shared_head.norm.',
    ]
    # Letters would be prefixes: of "b" all of the backbone.
    for wrong in ('backbone.adapter.', [1], None):
        with pytest.raises(UserError, match=r'expected_missing .* is a list'):
            VerifyTransferHook(expected_missing=wrong)


@pytest.mark.parametrize(
    ('deeper', 'asked'), [('layer1.1.bn1', True), ('layer', False)]
)
def test_few_modules_may_be_new_on_purpose(model, backbone, deeper, asked):
    for name in [n for n in backbone.weights if n.startswith(deeper)]:
        del backbone.weights[name]
    (problem,) = verified(model, backbone).problems
    assert ('--expected-missing backbone.' in problem) == asked


def test_a_head_that_loads_another_file_leaves_its_stage_over(model, backbone):
    model.roi_head.shared_head.init_cfg = {**INIT, 'checkpoint': 'x'}
    result = verified(model, backbone)
    assert len(result.load.unexpected) == 30
    (problem,) = result.problems
    assert 'model.roi_head.shared_head has a place for these ten' in problem


class Neck(BaseModule):
    """What a pyramid is made of."""

    def __init__(self, init_cfg):
        super().__init__(init_cfg)
        self.lateral = nn.Conv2d(8, 4, 1)
        self.norm = nn.BatchNorm2d(4)


# mmengine takes both spellings.
@pytest.mark.parametrize('prefix', ['pyramid.', 'pyramid'])
def test_a_pyramid_is_compared_as_the_backbone_is(model, backbone, prefix):
    model.neck = Neck({**INIT, 'prefix': prefix})
    backbone = backbone._replace(
        pyramid={k: v.clone() for k, v in model.neck.state_dict().items()}
    )
    result = verified(model, backbone)
    assert result.problems == result.notes == ()
    assert result.total == len(result.load.loaded) == 120 + 7
    assert sum(result.norms.values()) == 22
    model.neck.norm.weight.requires_grad = False
    with torch.no_grad():
        model.neck.lateral.bias[0] += 1e-7
    mismatched, frozen = verified(model, backbone).problems
    assert '1 of 127 tensors are not those of the file' in mismatched
    assert '(neck.lateral.bias)' in mismatched
    assert '(neck.norm.weight)' in frozen
    del backbone.pyramid['norm.bias']
    missing = verified(model, backbone).problems[0]
    assert '1 missing in the file: pyramid.norm.bias' in missing


def test_a_pyramid_that_nothing_loads_is_named(model, backbone):
    backbone = backbone._replace(pyramid={'lateral.weight': torch.ones(1)})
    result = verified(model, backbone)
    assert (result.problems, result.total) == ((), 120)
    (note,) = result.notes
    assert "prefix='pyramid.'" in note


@pytest.mark.parametrize(
    ('part', 'prefix'), [('backbone', 'pyramid.'), ('neck', 'neck.')]
)
def test_other_prefixes_are_refused(model, backbone, part, prefix):
    model.neck = Neck(INIT)
    getattr(model, part).init_cfg = {**INIT, 'prefix': prefix}
    with pytest.raises(ValueError, match=f'model.{part}.init_cfg has prefix'):
        verified(model, backbone)


@pytest.mark.parametrize(
    'kind', ['Pretrained', 'm.Pretrained', PretrainedInit]
)
def test_a_part_loads_the_file_however_its_config_says_so(
    model, backbone, kind, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'link.pth').symlink_to(INIT['checkpoint'])
    head = model.roi_head.shared_head
    for path in (INIT['checkpoint'], tmp_path / 'x/../link.pth'):
        head.init_cfg = {'type': kind, 'checkpoint': str(path)}
        result = verified(model, backbone)
        assert (result.problems, result.notes) == ((), ())
    with torch.no_grad():
        head.layer4[1].bn2.bias += 1
    (problem,) = verified(model, backbone).problems
    assert '1 of 120 tensors are not those of the file' in problem


def test_what_a_hook_loads_is_named(model, backbone):
    hook = {'type': 'TheirHook', 'checkpoint': 'theirs.pth'}
    cfg = {'custom_hooks': [hook], 'default_hooks': {'theirs': hook}}
    result = verify_transfer(model, backbone, cfg, [], VerifyOptions())
    named, listed = result.notes
    assert named.startswith('default_hooks.theirs.checkpoint loads theirs.pth')
    assert listed.startswith('custom_hooks[0].checkpoint loads theirs.pth')


def test_a_data_preprocessor_that_nobody_knows_is_named(model, backbone):
    class Darker(type(model.data_preprocessor)):
        pass

    model.data_preprocessor.__class__ = Darker
    (note,) = verified(model, backbone).notes
    assert 'model.data_preprocessor is a Darker' in note


@pytest.mark.parametrize(
    ('strides', 'dilations', 'notes'),
    [
        ((1, 2, 2, 2), (1, 1, 1, 1), 0),
        # mmseg's.
        ((1, 2, 1, 1), (1, 1, 2, 4), 0),
        ((1, 1, 1, 1), (1, 1, 1, 1), 1),
        ((1, 2, 2, 2), (1, 1, 1, 2), 1),
    ],
)
def test_another_scale_of_images_is_named(
    model, backbone, strides, dilations, notes
):
    model.backbone.strides, model.backbone.dilations = strides, dilations
    found = verified(model, backbone).notes
    assert len(found) == notes
    assert all(f'strides {[*strides]} and dil' in note for note in found)


def test_another_eps_of_batch_norms_is_named(model, backbone):
    model.backbone.layer1[0].bn1.eps = 1e-3
    (note,) = verified(model, backbone).notes
    assert 'batch norms have eps=0.001, those of nearly all' in note


@pytest.mark.parametrize('style', ['pytorch', 'caffe'])
def test_strides_are_looked_up_in_the_blocks(style):
    def deep(style):
        return ResNet(50, base_channels=8, stem_channels=8, style=style)

    net = deep(style)
    net.style = 'neither'
    assert stride_style({'backbone': net}) == style
    parts = {'backbone': net, 'head': deep('pytorch')}
    mixed = 'pytorch' if style == 'pytorch' else 'mixed'
    assert stride_style(parts) == mixed
    shallow = ResNet(18, base_channels=8, stem_channels=8, style=style)
    assert stride_style({'backbone': shallow}) is None


def test_what_a_model_and_a_file_say_both_is_compared(model):
    deep = ResNet(50, base_channels=8, stem_channels=8, style='caffe')
    vit = VisionTransformer({**VIT, 'num_heads': 2}, img_size=32)
    pixels = model.data_preprocessor
    here = settings_of({'backbone': deep}, pixels)
    assert here == {**PIXELS, 'style': 'caffe'}
    assert settings_of({'backbone': vit}) == {'num_heads': 2}
    vit.layers[0].attn.num_heads = 4
    assert settings_of({'backbone': vit}) == {'num_heads': [2, 4]}
    nothing = dict.fromkeys(here)
    assert setting_differences(nothing, here) == {}
    near = [value + 0.001 for value in here['mean']]
    assert setting_differences({**here, 'mean': near}, here) == {}
    far = {'mean': [0.0] * 3, 'style': 'pytorch', 'num_heads': 3}
    found = setting_differences(far, here)
    assert [*found] == ['mean', 'style']
    assert 'style is caffe here and was pytorch in' in found['style']
    # Pixels that nobody normalises are others; one that no one knows is not.
    pixels._enable_normalize = False
    assert setting_differences(PIXELS, settings_of({}, pixels)).keys() == {
        'mean',
        'std',
    }
    assert setting_differences(PIXELS, settings_of({}, nn.Identity())) == {}


def test_models_without_a_backbone_are_refused(backbone):
    with pytest.raises(ValueError, match=r'Linear has no model\.backbone'):
        verified(nn.Linear(2, 2), backbone)


def test_attention_heads_are_those_of_the_layers():
    options = {'arch': 'deit-t', 'img_size': 32}
    net = VisionTransformer(**options)
    assert attention_heads(net) == [3]
    assert describe_backbone(net)['num_heads'] == 3
    net = VisionTransformer(**options, layer_cfgs={'num_heads': 6})
    assert describe_backbone(net)['num_heads'] == 6
    net.layers[0].attn.num_heads = 3
    assert attention_heads(net) == [3, 6]
    assert attention_heads(SwinTransformer('tiny', img_size=32)) == []
    assert attention_heads(nn.Linear(2, 2)) == []


@pytest.mark.parametrize(
    ('transform', 'problem'),
    [
        ({'type': 'LoadImageFromFile', 'imdecode_backend': 'cv2'}, ''),
        ({'type': 'LoadImageFromFile', 'imdecode_backend': 'tifffile'}, 'red'),
        ({'type': 'mmdet.LoadImageFromFile', 'color_type': 'grayscale'}, 'gr'),
        ({'type': 'mmcv.Normalize'}, 'normalises pixels that'),
        ({'type': 'torchvision/Normalize'}, 'normalises pixels that'),
        ({'type': 'Albu', 'transforms': [{'type': 'Normalize'}]}, 'pixels'),
        ({'type': 'Albu', 'transforms': [{'type': 'ToFloat'}]}, 'divides'),
        ({'type': 'torchvision/ToTensor'}, 'divides'),
        ({'type': 'ToTensor', 'keys': ['img']}, ''),
        ({'type': nn.Linear}, ''),
    ],
)
@pytest.mark.parametrize('place', ['val_dataloader', 'custom_hooks'])
def test_transforms_that_change_what_pixels_are(transform, problem, place):
    found = list(pipeline_problems({place: [{'a_pipeline': [transform]}]}))
    assert len(found) == bool(problem)
    assert all(f'{place} has ' in text and problem in text for text in found)


def test_channels_that_are_swapped_and_not_back():
    there = {'type': 'mmpretrain.NumpyToPIL', 'to_rgb': True}
    back = {'type': 'mmpretrain.PILToNumpy', 'to_bgr': True}
    plain = {'type': 'NumpyToPIL'}, {'type': 'PILToNumpy'}
    for pipeline, swapped in (
        ([there, back], False),
        (plain, False),
        ([there, plain[1]], True),
        ([plain[0], back], True),
    ):
        found = list(pipeline_problems({'train_dataloader': pipeline}))
        assert len(found) == swapped
        assert all('red and blue swapped' in text for text in found)


def test_a_checkpoint_says_the_range_of_its_levels(model):
    load = {'type': 'LoadImage', 'stretch': (0, 4095)}
    dataset = {'type': 'Photos', 'pipeline': [load]}
    cfg = Config({'train_dataloader': {'dataset': dataset}})
    checkpoint = {'meta': {}, 'state_dict': trained(width=8)}
    runner = SimpleNamespace(model=model, cfg=cfg)
    TransferMetaHook().before_save_checkpoint(runner, checkpoint)
    assert extract_backbone(checkpoint).meta['stretch'] == [0, 4095]


def test_weights_that_were_not_trained_are_named(model, backbone):
    backbone.meta['epochs'] = 0
    (note,) = verified(model, backbone).notes
    assert 'a network that was not trained' in note
    backbone.meta['epochs'] = None
    assert verified(model, backbone).notes == ()
    for name, tensor in backbone.weights.items():
        if name.endswith(('running_mean', 'running_var')):
            tensor.fill_(name.endswith('var'))
    (note,) = verified(loaded_model(backbone), backbone).notes
    assert 'a network that was not trained' in note


def test_a_range_of_levels_that_a_detector_lacks_is_named(model, backbone):
    backbone.meta['stretch'] = [0, 4095]

    def notes(**loader):
        pipeline = [{'type': 'PackInputs'}, loader]
        cfg = {'train_dataloader': {'dataset': {'pipeline': pipeline}}}
        return verify_transfer(model, backbone, cfg, [], VerifyOptions()).notes

    (note,) = notes(type='LoadImageFromFile')
    assert '0 as black and 4095 as white, and LoadImageFromFile' in note
    assert len(notes(type='mmpretrain.LoadImage', stretch=(0, 255))) == 1
    assert notes(type='mmpretrain.LoadImage', stretch=(0, 4095)) == ()
    backbone.meta['stretch'] = None
    assert notes(type='LoadImageFromFile') == ()


def test_levels_of_a_batch():
    ramp = torch.arange(3 * 16 * 16).reshape(3, 16, 16) % 256
    for right in (
        ramp.byte(),
        ramp.float() * 1.5 - 40,
        torch.zeros_like(ramp),
    ):
        assert [*level_problems([right])] == []
    # A black image and floating-point levels are no problem by themselves.
    assert [*level_problems([ramp / 255, ramp.float()])] == []
    for wrong in (ramp / 255, (ramp - 124.0) / 58):
        (problem,) = level_problems([wrong, wrong])
        assert 'a transform divides or normalises' in problem
    (problem,) = level_problems([ramp.byte(), ramp.float() * 257])
    assert 'up to 65535' in problem
    assert [*level_problems([])] == [*level_notes([])] == []
    # 12 bits, of which OpenCV keeps the upper four.
    (note,) = level_notes([ramp.byte() >> 4])
    assert 'is 15 of 255' in note
    assert [*level_notes([ramp.byte()])] == []


def test_images_of_batches():
    image = torch.zeros(3, 4, 4)
    batches = {'inputs': [image, image], 'data_samples': [image]}
    assert len(images_of(batches)) == 2
    assert len(images_of({'inputs': image[None]})) == 1
    branches = {'inputs': {'sup': [image], 'unsup_teacher': [image]}}
    assert len(images_of(branches)) == 2
    assert images_of([image]) == images_of({'inputs': None}) == []
