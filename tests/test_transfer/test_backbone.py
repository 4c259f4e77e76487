"""From the checkpoints of other code bases to a backbone, and back."""

import pytest
import torch
from mmpretrain.models import ResNet

from sce_mm.transfer import (
    CheckpointError,
    extract_backbone,
    load_backbone,
    read_checkpoint,
    save_backbone,
    tensor_hash,
)


def resnet(depth=18, seed=0, **options):
    torch.manual_seed(seed)
    return ResNet(depth, base_channels=8, stem_channels=8, **options)


ONLINE, MOMENTUM = resnet().state_dict(), resnet(seed=1).state_dict()


def prefixed(prefix, tensors):
    return {prefix + name: tensor for name, tensor in tensors.items()}


HEAD = {'fc.weight': torch.ones(3, 64), 'fc.bias': torch.ones(3)}
CHECKPOINTS = {
    'sce_mm pretraining': prefixed('backbone.', ONLINE)
    | prefixed('momentum_encoder.backbone.', MOMENTUM)
    | {'queue.features': torch.ones(4, 2), 'neck.fc0.weight': torch.ones(2)},
    'official SCE (CEA-LIST, eztorch)': prefixed('trunk.', ONLINE)
    | prefixed('momentum_trunk.', MOMENTUM)
    | {'projector.layers.0.weight': torch.ones(2), 'queue': torch.ones(2, 4)},
    'MoCo v1 and v2': prefixed('module.encoder_q.', ONLINE | HEAD)
    | prefixed('module.encoder_k.', MOMENTUM | HEAD)
    | {'module.queue': torch.ones(2, 4)},
    'MoCo v3': prefixed('module.base_encoder.', ONLINE | HEAD)
    | prefixed('module.momentum_encoder.', MOMENTUM | HEAD)
    | {'module.predictor.0.weight': torch.ones(2)},
    'mmpretrain, mmselfsup or mmdet': prefixed('backbone.', ONLINE)
    | {'head.fc.weight': torch.ones(2)},
    'bare backbone (exported, torchvision, timm)': ONLINE | HEAD,
}


def equal(first, second):
    assert list(first) == list(second)
    return all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize('source', CHECKPOINTS)
def test_the_online_branch_of_each_format(source):
    backbone, meta = extract_backbone({'state_dict': CHECKPOINTS[source]})
    assert equal(backbone, ONLINE)
    assert (meta['source'], meta['branch']) == (source, 'online')
    assert meta['mean'] is None
    load_backbone(resnet(seed=5), backbone, meta)


@pytest.mark.parametrize('source', list(CHECKPOINTS)[:4])
def test_the_momentum_branch_is_never_mixed_in(source):
    backbone, meta = extract_backbone(CHECKPOINTS[source], 'momentum')
    assert equal(backbone, MOMENTUM)
    assert meta['branch'] == 'momentum'


@pytest.mark.parametrize('source', list(CHECKPOINTS)[4:])
def test_a_branch_that_is_not_there_is_refused(source):
    with pytest.raises(CheckpointError, match='has no momentum branch'):
        extract_backbone(CHECKPOINTS[source], 'momentum')


def test_an_online_trunk_alone_is_enough():
    backbone, _ = extract_backbone(prefixed('trunk.', ONLINE))
    assert equal(backbone, ONLINE)


def test_no_backbone_names_what_was_seen_and_expected():
    with pytest.raises(CheckpointError) as error:
        extract_backbone(prefixed('student.', ONLINE))
    assert 'begin with student.; expected one of backbone.' in str(error.value)


def test_facts_of_the_training_travel_with_the_file(tmp_path):
    facts = {'arch': 'ResNet-18', 'mean': [1.0, 2.0, 3.0], 'epochs': 7}
    checkpoint = {
        'state_dict': prefixed('backbone.', ONLINE),
        'meta': {'sce_mm': facts, 'cfg': 'raise SystemExit'},
    }
    backbone, meta = extract_backbone(checkpoint)
    save_backbone(tmp_path / 'a.pth', backbone, meta)
    # Any torch reads it, safely and without this package.
    content = torch.load(tmp_path / 'a.pth', weights_only=True)
    assert content['meta'] == meta
    assert meta['arch'] == 'ResNet-18'
    assert meta['style'] is None
    # Extracting again changes nothing.
    again = extract_backbone(read_checkpoint(tmp_path / 'a.pth'))
    save_backbone(tmp_path / 'b.pth', *again)
    assert equal(again[0], backbone)
    assert again[1] == meta


def test_a_file_that_was_tampered_with_is_refused(tmp_path):
    backbone, meta = extract_backbone(ONLINE)
    changed = backbone | {'conv1.weight': backbone['conv1.weight'] + 1e-6}
    save_backbone(tmp_path / 'a.pth', changed, meta)
    with pytest.raises(CheckpointError, match='its hash says so'):
        extract_backbone(read_checkpoint(tmp_path / 'a.pth'))


def test_the_hash_sees_values_names_types_and_shapes():
    base = {'a': torch.zeros(2, 3), 'b': torch.ones(2)}
    others = [
        base | {'b': torch.tensor([1.0, 1.0 + 1e-7])},
        {'a': base['a'], 'c': base['b']},
        base | {'a': torch.zeros(3, 2)},
        base | {'b': torch.ones(2, dtype=torch.float64)},
        base | {'b': torch.ones(2, dtype=torch.bfloat16)},
    ]
    hashes = {tensor_hash(tensors) for tensors in [base, *others]}
    assert len(hashes) == 6
    assert tensor_hash(dict(reversed(base.items()))) == tensor_hash(base)


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'a.pth'
    backbone, meta = extract_backbone(ONLINE)
    save_backbone(path, backbone, meta)
    before = path.read_bytes()

    def fail(content, file):
        file.write(b'half')
        raise OSError('No space left on device')

    monkeypatch.setattr(torch, 'save', fail)
    with pytest.raises(OSError, match='No space'):
        save_backbone(path, backbone, meta)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda s: s.pop('layer4.1.bn2.running_mean'), '1 missing in the fil'),
        (lambda s: s.update({'fc.weight': torch.ones(1)}), 'has no place for'),
        (
            lambda s: s.update({'conv1.weight': torch.ones(8, 3, 3, 3)}),
            r'the stems differ: \[3, 3\] in the file, \[7, 7\] in the model',
        ),
        (lambda s: s.update(resnet(34).state_dict()), 'the depths differ'),
    ],
)
def test_loading_is_strict_and_says_why_it_refuses(change, message):
    tensors = dict(ONLINE)
    change(tensors)
    module = resnet(seed=3)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        load_backbone(module, tensors)
    # Nothing is half-loaded.
    assert equal(module.state_dict(), before)


def test_another_width_and_another_prefix_have_their_own_words():
    wide = ResNet(18, base_channels=16, stem_channels=16).state_dict()
    with pytest.raises(CheckpointError, match='the widths differ'):
        load_backbone(resnet(), wide)
    with pytest.raises(CheckpointError, match='no name is common to both'):
        load_backbone(resnet(), prefixed('backbone.', ONLINE))
