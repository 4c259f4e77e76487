"""Initial weights fill all of a model, or its backbone, or nothing."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import CheckpointLoader
from mmpretrain.registry import MODELS
from networks import VIT
from tiny import build, build_dense, pyramid_options
from tiny_runner import build_runner
from transfer_files import prefixed, pretraining

from sce_mm.checkpoints import reading as checkpoint
from sce_mm.checkpoints.mmengine_loading import install_safe_loader
from sce_mm.engine import InitialWeightsHook, PretrainedBackboneHook
from sce_mm.transfer import CheckpointError, extract_backbone
from sce_mm.transfer.initial_weights import (
    Source,
    load_initial_weights,
    load_weights,
)

RESNET = {
    'type': 'ResNet',
    'depth': 18,
    'base_channels': 4,
    'stem_channels': 4,
}
MLP = {
    'type': 'MoCoV2Neck',
    'in_channels': 32,
    'hid_channels': 8,
    'out_channels': 4,
}
NECK = {'type': 'TinyNeck', 'in_channels': 32, 'out_channels': 4}


def resnet(seed):
    torch.manual_seed(seed)
    model = build(seed, backbone=RESNET, neck=NECK)
    return model


def test_a_whole_model_comes_with_both_branches_but_without_its_keys():
    other, model = build_dense(1), build_dense(2)
    other.momentum_encoder.requires_grad_(False)
    for value in other.momentum_encoder.parameters():
        value.add_(1)
    other.queue.enqueue(torch.ones(3, 4))
    other.dense_queue.enqueue(torch.ones(3, 5))
    keys = model.queue.features.clone()
    report = load_initial_weights(model, other.state_dict(), 'run.pth')
    for name, value in model.state_dict().items():
        if not name.startswith(('queue.', 'dense_queue.')):
            assert torch.equal(value, other.state_dict()[name]), name
    assert torch.equal(model.queue.features, keys)
    assert model.queue.filled == model.dense_queue.filled == 0
    assert 'tensors of the whole model; the queue starts' in report


def test_a_backbone_comes_to_both_branches_and_nothing_else_changes():
    other, model = resnet(1), resnet(2)
    neck = model.neck.fc.weight.clone()
    report = load_initial_weights(
        model, {'state_dict': other.backbone.state_dict()}, 'file.pth'
    )
    for branch in (model.backbone, model.momentum_encoder.backbone):
        for name, value in branch.state_dict().items():
            assert torch.equal(value, other.backbone.state_dict()[name])
    assert torch.equal(model.neck.fc.weight, neck)
    assert 'bare backbone' in report
    assert f'{len(model.backbone.state_dict())} tensors of the' in report


def test_a_backbone_may_be_a_network_that_no_tensor_shows():
    """Its own file, and that of a classifier of mmpretrain."""
    mobilenet = {'type': 'MobileNetV2', 'widen_factor': 0.25}
    neck = NECK | {'in_channels': 1280}
    other = build(1, backbone=mobilenet, neck=neck)
    weights = other.backbone.state_dict()
    metadata = {'arch': 'MobileNetV2'}
    own = extract_backbone(pretraining(weights, **metadata))
    for file in (own._asdict(), prefixed('backbone.', weights)):
        model = build(2, backbone=mobilenet, neck=neck)
        load_initial_weights(model, file, 'file.pth')
        for branch in (model.backbone, model.momentum_encoder.backbone):
            for name, value in branch.state_dict().items():
                assert torch.equal(value, weights[name])


def test_what_does_not_fit_is_refused():
    with pytest.raises(CheckpointError, match='another one than this config'):
        load_initial_weights(build(), build(predictor=False).state_dict(), 'x')
    wide = MODELS.build({**RESNET, 'base_channels': 8, 'stem_channels': 8})
    with pytest.raises(CheckpointError, match='the widths differ'):
        load_initial_weights(resnet(0), wide.state_dict(), 'x')


@pytest.mark.parametrize('part', ['', 'backbone'])
@pytest.mark.parametrize('whole', [True, False])
def test_channels_in_another_order_are_refused_and_other_levels_named(
    tmp_path, part, whole
):
    model, other = resnet(2), resnet(1)
    model.data_preprocessor = MODELS.build(
        {
            'type': 'SelfSupDataPreprocessor',
            'mean': [127.5] * 3,
            'std': [50.0] * 3,
            'to_rgb': True,
        }
    )
    path = str(tmp_path / 'file.pth')
    source = Source('load_from', path, part)
    tensors = (other if whole else other.backbone).state_dict()
    torch.save({**pretraining({}), 'state_dict': tensors}, path)
    report = load_weights(model, source)
    assert 'std is [50.0, 50.0, 50.0] here and was [58.395, 57.12' in report
    assert report.endswith('model.data_preprocessor.std, unless it is meant')
    content = {**pretraining({}, channel_order='bgr'), 'state_dict': tensors}
    torch.save(content, path)
    before = model.backbone.conv1.weight.add(1).clone()
    model.backbone.conv1.weight.data = before.clone()
    with pytest.raises(CheckpointError, match='is rgb here and was bgr'):
        load_weights(model, source)
    assert model.backbone.conv1.weight.equal(before)


@pytest.mark.parametrize('part', ['', 'backbone'])
def test_a_whole_model_with_other_attention_heads_is_refused(tmp_path, part):
    arch = {**VIT, 'num_heads': 2}
    vit = {'type': 'VisionTransformer', 'arch': arch, 'img_size': 32}
    model = build(1, backbone=vit, neck={**NECK, 'in_channels': 16})
    path = tmp_path / 'file.pth'
    for heads in (2, 4):
        content = pretraining({}, style=None, num_heads=heads)
        torch.save({**content, 'state_dict': model.state_dict()}, path)
        source = Source('load_from', str(path), part)
        if heads == 2:
            assert 'initialised from' in load_weights(model, source)
            continue
        with pytest.raises(CheckpointError, match='num_heads is 2 here and '):
            load_weights(model, source)


def test_a_pyramid_is_taken_over_too():
    def model(seed, **pyramid):
        return build_dense(seed, **pyramid_options(pyramid=pyramid))

    trained, after = model(1), model(2)
    tensors = trained.state_dict()
    backbone = extract_backbone({'state_dict': tensors})
    file = {'state_dict': backbone.tensors, 'meta': backbone.meta}
    report = load_initial_weights(after, file, 'file.pth')
    assert '4 tensors of the backbone and 4 of the pyramid' in report
    for name, value in after.state_dict().items():
        taken = name.removeprefix('momentum_encoder.')
        if taken.startswith(('backbone.', 'pyramid.')):
            assert torch.equal(value, tensors[taken])
    # A model without one takes the backbone alone.
    plain = build_dense(3)
    assert '4 tensors of' in load_initial_weights(plain, file, 'file.pth')
    # One tensor less, and nothing is changed.
    tensors.pop('pyramid.lateral.1.bias')
    backbone = extract_backbone({'state_dict': tensors})
    file = {'state_dict': backbone.tensors, 'meta': backbone.meta}
    before = {k: v.clone() for k, v in after.state_dict().items()}
    with pytest.raises(
        CheckpointError, match=r'is not model\.pyramid of this'
    ):
        load_initial_weights(after, file, 'file.pth')
    for name, value in after.state_dict().items():
        assert torch.equal(value, before[name])


def start(tmp_path, model=None, init_from=None, **options):
    """Model before its first iteration, in a Runner with a recipe's hooks."""
    update = {'type': 'MomentumUpdateHook', 'momentum': 0.1}
    runner, _ = build_runner(
        tmp_path / 'run',
        images=4,
        epochs=1,
        hooks=(update, InitialWeightsHook(init_from), StopHook()),
        model={'backbone': RESNET, 'neck': NECK} | (model or {}),
        **options,
    )
    with pytest.raises(Reached):
        runner.train()
    return runner.model


class Reached(Exception):  # noqa: N818
    """The first iteration is about to be made."""


class StopHook(Hook):
    priority = 'LOWEST'

    def before_train_iter(self, *args, **kwargs):
        raise Reached


OTHER = resnet(1)
BACKBONE = OTHER.backbone.state_dict()


def pretrained(**more):
    return {'type': 'Pretrained', 'checkpoint': 'FILE'} | more


LOADED = {
    'MoCo': (prefixed('module.encoder_q.', BACKBONE), pretrained()),
    'a prefix': (
        prefixed('module.student.', BACKBONE),
        pretrained(prefix='module.student.'),
    ),
    'in a list': (
        BACKBONE,
        [{'type': 'Kaiming', 'layer': 'Conv2d'}, pretrained()],
    ),
}


def with_file(init_cfg, path):
    if isinstance(init_cfg, list):
        return [with_file(init, path) for init in init_cfg]
    if 'checkpoint' in init_cfg:
        return init_cfg | {'checkpoint': str(path)}
    return init_cfg


def assert_loaded(model, other=OTHER):
    for branch in (model.backbone, model.momentum_encoder.backbone):
        for name, value in branch.state_dict().items():
            assert torch.equal(value, other.backbone.state_dict()[name]), name


@pytest.mark.integration
@pytest.mark.parametrize('case', LOADED)
def test_what_mmengine_loads_loosely_is_loaded_whole(tmp_path, case):
    tensors, init_cfg = LOADED[case]
    path = tmp_path / 'file.pth'
    torch.save({'state_dict': tensors}, path)
    backbone = RESNET | {'init_cfg': with_file(init_cfg, path)}
    assert_loaded(start(tmp_path, {'backbone': backbone}))


@pytest.mark.integration
@pytest.mark.parametrize('option', ['load_from', 'init_from'])
def test_options_that_name_a_file(tmp_path, option):
    path = tmp_path / 'file.pth'
    torch.save(BACKBONE, path)
    assert_loaded(start(tmp_path, **{option: str(path)}))


@pytest.mark.integration
def test_what_finds_nothing_to_resume_begins_from_the_file(tmp_path):
    path = tmp_path / 'file.pth'
    torch.save(prefixed('encoder_q.', BACKBONE), path)
    backbone = RESNET | {'init_cfg': pretrained(checkpoint=str(path))}
    assert_loaded(start(tmp_path, {'backbone': backbone}, resume=True))


@pytest.mark.integration
def test_every_part_may_name_a_file(tmp_path):
    torch.manual_seed(1)
    other, path = build(1, backbone=RESNET, neck=MLP), tmp_path / 'whole.pth'
    torch.save(other.state_dict(), path)
    loads = pretrained(checkpoint=str(path))
    for model in (
        {'neck': MLP, 'init_cfg': loads},
        {
            'backbone': RESNET | {'init_cfg': loads},
            'neck': MLP | {'init_cfg': loads | {'prefix': 'neck.'}},
        },
    ):
        trained = start(tmp_path, model)
        assert_loaded(trained, other)
        for branch in (trained, trained.momentum_encoder):
            for name, value in branch.neck.state_dict().items():
                assert torch.equal(value, other.neck.state_dict()[name])


REFUSED = {
    'names of nobody': (
        {f'tensor{n}': t for n, t in enumerate(BACKBONE.values())},
        {'load_from': 'FILE'},
        ['load_from', 'tensor0'],
    ),
    'one tensor less': (
        {k: v for k, v in BACKBONE.items() if 'layer4.1.bn2.bias' not in k},
        {'backbone': pretrained()},
        ['model.backbone.init_cfg', 'layer4.1.bn2.bias'],
    ),
    'a backbone for the neck': (
        BACKBONE,
        {'neck': pretrained()},
        ['model.neck.init_cfg', 'mlp.0.weight'],
    ),
    'a prefix of nothing': (
        prefixed('encoder_q.', BACKBONE),
        {'backbone': pretrained(prefix='backbone.')},
        ['model.backbone.init_cfg', "'backbone.'", 'encoder_q.'],
    ),
    'two for one part': (
        BACKBONE,
        {'backbone': pretrained(), 'load_from': 'FILE'},
        ['load_from', 'model.backbone.init_cfg', 'keep one'],
    ),
    'no file': (None, {'backbone': pretrained()}, ['init_cfg', 'FILE']),
    'an override': (
        BACKBONE,
        {
            'backbone': {
                'type': 'Kaiming',
                'layer': 'Conv2d',
                'override': pretrained(name='conv1'),
            }
        },
        ['model.backbone.init_cfg', 'override'],
    ),
}


@pytest.mark.integration
@pytest.mark.parametrize('case', REFUSED)
def test_what_does_not_fit_starts_no_training(tmp_path, case, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tensors, places, words = REFUSED[case]
    if tensors is not None:
        torch.save(tensors, 'FILE')
    model, options = {}, {}
    for place, value in places.items():
        if place == 'load_from':
            options[place] = value
        else:
            part = {'backbone': RESNET, 'neck': MLP}[place]
            model[place] = part | {'init_cfg': value}
    with pytest.raises(CheckpointError) as error:
        start(tmp_path, model, **options)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ('online', 'momentum'),
    [
        ('base_encoder.', 'momentum_encoder.'),
        ('backbone.', 'momentum_encoder.module.0.'),
    ],
)
def test_the_momentum_branches_of_others_are_no_whole_model(online, momentum):
    model = resnet(2)
    tensors = prefixed(online, BACKBONE) | prefixed(
        momentum, resnet(3).backbone.state_dict()
    )
    load_initial_weights(model, {'state_dict': tensors}, 'file.pth')
    assert_loaded(model)


class Custom:
    """What a checkpoint of somebody may hold."""


def test_trust_of_the_command_line_reaches_what_a_config_names(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(CheckpointLoader, '_schemes', {})
    monkeypatch.setattr(checkpoint, '_trusted', False)
    path = tmp_path / 'file.pth'
    torch.save({'state_dict': BACKBONE, 'custom': Custom()}, path)
    with pytest.raises(CheckpointError, match=r'load_from: .*pass --trust'):
        start(tmp_path, load_from=str(path))
    install_safe_loader(trust=True)
    assert_loaded(start(tmp_path, load_from=str(path)))
    hook = PretrainedBackboneHook(str(path))
    hook._read(SimpleNamespace(model=resnet(2), cfg={}))
