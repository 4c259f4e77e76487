"""Beginning from weights: all of a model, or its backbone, or not at all."""

import pytest
import torch
from mmpretrain.registry import MODELS
from tiny import build
from tiny_runner import build_runner

from sce_mm.transfer import CheckpointError, save_backbone
from sce_mm.transfer.initial import load_initial_weights

RESNET = {
    'type': 'ResNet',
    'depth': 18,
    'base_channels': 4,
    'stem_channels': 4,
}
NECK = {'type': 'TinyNeck', 'in_channels': 32, 'out_channels': 4}


def resnet(seed):
    torch.manual_seed(seed)
    model = build(seed, backbone=RESNET, neck=NECK)
    return model


def test_a_whole_model_comes_with_both_branches_but_without_its_keys():
    other, model = build(1), build(2)
    other.momentum_encoder.requires_grad_(False)
    for value in other.momentum_encoder.parameters():
        value.add_(1)
    other.queue.enqueue(torch.ones(3, 4))
    keys = model.queue.features.clone()
    report = load_initial_weights(model, other.state_dict(), 'run.pth')
    for name, value in model.state_dict().items():
        if not name.startswith('queue.'):
            assert torch.equal(value, other.state_dict()[name]), name
    assert torch.equal(model.queue.features, keys)
    assert model.queue.filled == 0
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


def test_what_does_not_fit_is_refused():
    with pytest.raises(CheckpointError, match='another one than this config'):
        load_initial_weights(build(), build(predictor=False).state_dict(), 'x')
    wide = MODELS.build({**RESNET, 'base_channels': 8, 'stem_channels': 8})
    with pytest.raises(CheckpointError, match='the widths differ'):
        load_initial_weights(resnet(0), wide.state_dict(), 'x')


@pytest.mark.integration
def test_the_hook_loads_before_the_first_step(tmp_path):
    backbone = resnet(1).backbone.state_dict()
    path = tmp_path / 'backbone.pth'
    save_backbone(path, backbone, {'source': 'somewhere', 'branch': 'online'})
    hook = {'type': 'InitialWeightsHook', 'checkpoint': str(path)}
    update = {'type': 'MomentumUpdateHook', 'momentum': 0.1}
    runner, _ = build_runner(
        tmp_path,
        epochs=1,
        hooks=(update, hook),
        model={'backbone': RESNET, 'neck': NECK},
    )
    seen = []
    forward = runner.model.loss
    runner.model.loss = lambda *a, **k: (
        seen.append(runner.model.backbone.conv1.weight.detach().clone()),
        forward(*a, **k),
    )[1]
    runner.train()
    assert torch.equal(seen[0], backbone['conv1.weight'])
    assert not torch.equal(seen[1], backbone['conv1.weight'])
