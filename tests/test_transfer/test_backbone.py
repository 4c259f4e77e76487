"""From the checkpoints of other code bases to a backbone, and back."""

import pytest
import torch
from mmpretrain.models import ResNet, ResNet_CIFAR

from sce_mm.transfer import (
    CheckpointError,
    extract_backbone,
    load_backbone,
    read_checkpoint,
    save_backbone,
    tensor_hash,
)
from sce_mm.transfer.detectron2_names import from_detectron2, to_detectron2


def resnet(depth=18, seed=0, **options):
    torch.manual_seed(seed)
    return ResNet(depth, base_channels=8, stem_channels=8, **options)


ONLINE, MOMENTUM = resnet().state_dict(), resnet(seed=1).state_dict()


def prefixed(prefix, tensors):
    return {prefix + name: tensor for name, tensor in tensors.items()}


HEAD = {'fc.weight': torch.ones(3, 64), 'fc.bias': torch.ones(3)}
NECK = {'neck.fc0.weight': torch.ones(2)}
DETECTRON2 = {
    # Written out: the rule itself is tested elsewhere.
    'conv1.weight': 'stem.conv1.weight',
    'bn1.running_mean': 'stem.conv1.norm.running_mean',
    'layer1.0.bn2.bias': 'res2.0.conv2.norm.bias',
    'layer4.0.downsample.0.weight': 'res5.0.shortcut.weight',
    'layer4.0.downsample.1.running_var': 'res5.0.shortcut.norm.running_var',
}


def numbered(tensors, first=4):
    """Names in nn.Sequential(*list(resnet.children())), 4 is layer1."""
    numbers = {'conv1': '0', 'bn1': '1', 'fc': str(first + 5)}
    numbers |= {f'layer{i}': str(first + i - 1) for i in range(1, 5)}
    parts = {name: name.partition('.') for name in tensors}
    return {
        f'{numbers[parts[name][0]]}.{parts[name][2]}': tensor
        for name, tensor in tensors.items()
    }


def branches(online, momentum, head=(), row=False):
    both = ONLINE | dict(head), MOMENTUM | dict(head)
    if row:
        both = tuple(map(numbered, both))
    return prefixed(online, both[0]) | prefixed(momentum, both[1])


CHECKPOINTS = {
    'sce_mm pretraining': branches('backbone.', 'momentum_encoder.backbone.')
    | {'queue.features': torch.ones(4, 2)}
    | NECK,
    'official SCE (CEA-LIST, eztorch)': branches('trunk.', 'momentum_trunk.')
    | {'projector.layers.0.weight': torch.ones(2), 'queue': torch.ones(2, 4)},
    'MoCo v1 and v2': branches('module.encoder_q.', 'module.encoder_k.', HEAD)
    | {'module.queue': torch.ones(2, 4)},
    'MoCo v3': branches(
        'module.base_encoder.', 'module.momentum_encoder.', HEAD
    )
    | {'module.predictor.0.weight': torch.ones(2)},
    'lightly': branches('backbone.', 'backbone_momentum.', row=True)
    | {'projection_head.layers.0.weight': torch.ones(2)},
    'DINO of lightly': branches(
        'student_backbone.', 'teacher_backbone.', row=True
    ),
    'MoCo of mmselfsup': branches('backbone.', 'encoder_k.0.')
    | prefixed('encoder_q.0.', ONLINE),
    'BYOL of mmselfsup': branches('backbone.', 'target_net.0.') | NECK,
    'MoCo of mmpretrain': branches('backbone.', 'encoder_k.module.0.') | NECK,
    'MoCo v3 of mmpretrain': branches(
        'backbone.', 'momentum_encoder.module.0.'
    )
    | {'momentum_encoder.steps': torch.tensor(9)},
    'BYOL of mmpretrain': branches('backbone.', 'target_net.module.0.'),
    'torchvision detector': prefixed('backbone.body.', ONLINE)
    | {'backbone.fpn.inner_blocks.0.0.weight': torch.ones(2)},
    'DETR': prefixed('backbone.0.body.', ONLINE)
    | {'transformer.decoder.norm.weight': torch.ones(2)},
    'mmpretrain, mmselfsup or mmdet': prefixed('backbone.', ONLINE)
    | {'head.fc.weight': torch.ones(2)},
    'detectron2': {to_detectron2(k): v for k, v in ONLINE.items()}
    | {'stem.fc.weight': torch.ones(2)},
    'bare backbone (exported, torchvision, timm)': ONLINE | HEAD,
}
TWO_BRANCHES = list(CHECKPOINTS)[:8]
MIXED = list(CHECKPOINTS)[8:11]
ONE_BRANCH = list(CHECKPOINTS)[11:]
IMAGENET = [123.675, 116.28, 103.53]


def equal(first, second):
    assert list(first) == list(second)
    return all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize('source', CHECKPOINTS)
def test_the_online_branch_of_each_format(source):
    backbone, meta = extract_backbone({'state_dict': CHECKPOINTS[source]})
    assert equal(backbone, ONLINE)
    assert (meta['source'], meta['branch']) == (source, 'online')
    assert meta['arch'] == 'ResNet-18'
    load_backbone(resnet(seed=5), backbone, meta)


@pytest.mark.parametrize('source', CHECKPOINTS)
def test_facts_are_assumed_of_code_bases_that_have_but_one(source):
    _, meta = extract_backbone({'state_dict': CHECKPOINTS[source]})
    if source.startswith(('official', 'MoCo v1', 'MoCo v3')) and (
        'mmpretrain' not in source
    ):
        assert (meta['mean'], meta['channel_order']) == (IMAGENET, 'rgb')
        assert meta['assumed'] == ['channel_order', 'mean', 'std', 'style']
    else:
        assert meta['mean'] is meta['style'] is None
        assert meta['assumed'] == []


def test_nothing_is_assumed_of_networks_for_small_images():
    torch.manual_seed(0)
    small = ResNet_CIFAR(18, base_channels=8, stem_channels=8).state_dict()
    _, meta = extract_backbone(prefixed('trunk.', small))
    assert (meta['arch'], meta['mean']) == ('ResNet_CIFAR-18', None)


@pytest.mark.parametrize('source', TWO_BRANCHES)
def test_the_momentum_branch_is_never_mixed_in(source):
    backbone, meta = extract_backbone(CHECKPOINTS[source], 'momentum')
    assert equal(backbone, MOMENTUM)
    assert meta['branch'] == 'momentum'
    assert meta['statistics'] == 'its own forward passes'


@pytest.mark.parametrize('source', MIXED)
def test_statistics_of_another_branch_are_refused(source):
    with pytest.raises(CheckpointError, match='add --recalibrate DIR'):
        extract_backbone(CHECKPOINTS[source], 'momentum')
    backbone, _ = extract_backbone(CHECKPOINTS[source], 'momentum', mixed=True)
    assert equal(backbone, MOMENTUM)


@pytest.mark.parametrize('source', ONE_BRANCH)
def test_a_branch_that_is_not_there_is_refused(source):
    with pytest.raises(CheckpointError, match='has no momentum branch'):
        extract_backbone(CHECKPOINTS[source], 'momentum')


@pytest.mark.parametrize('prefix', ['trunk.', 'encoder_q.', '_orig_mod.'])
def test_an_online_trunk_alone_is_enough(prefix):
    backbone, _ = extract_backbone(prefixed(prefix, ONLINE))
    assert equal(backbone, ONLINE)


@pytest.mark.parametrize('first', [2, 4])
@pytest.mark.parametrize('prefix', ['', 'backbone.', 'encoder_q.'])
@pytest.mark.parametrize('head', [{}, HEAD])
def test_numbered_children_get_their_names_back(first, prefix, head):
    # 2: the small networks of lightly, without pooling among the children.
    tensors = prefixed(prefix, numbered(ONLINE | head, first))
    if first == 2:
        tensors = {
            k.replace('downsample', 'shortcut'): v for k, v in tensors.items()
        }
    backbone, _ = extract_backbone(tensors)
    assert equal(backbone, ONLINE)


@pytest.mark.parametrize('key', ['resnet18_parameters', 'net', 'ema'])
def test_a_network_under_any_key_is_found_if_it_is_the_only_one(key):
    others = {'optimizer': {'state': {0: torch.ones(1)}}, 'epoch': 3}
    backbone, _ = extract_backbone({key: ONLINE} | others)
    assert equal(backbone, ONLINE)
    with pytest.raises(CheckpointError, match='teacher'):
        extract_backbone({key: ONLINE, 'teacher': MOMENTUM})


def test_names_that_are_not_known_are_shown():
    tensors = prefixed('backbone.stages.', ONLINE)
    with pytest.raises(CheckpointError) as error:
        extract_backbone(tensors)
    for word in ('conv1.weight', 'stages.conv1.weight'):
        assert word in str(error.value)


@pytest.mark.parametrize('source', CHECKPOINTS)
@pytest.mark.parametrize('wrapper', ['module.', 'module._orig_mod.'])
def test_wrappers_around_the_whole_model_do_not_matter(source, wrapper):
    tensors = prefixed(wrapper, CHECKPOINTS[source])
    backbone, meta = extract_backbone(tensors | {'steps': torch.tensor(3)})
    assert equal(backbone, ONLINE)
    assert meta['source'] == source


def test_names_of_detectron2():
    for ours, theirs in DETECTRON2.items():
        assert to_detectron2(ours) == theirs
    for depth in (18, 50):
        names = [*resnet(depth).state_dict()]
        renamed = [to_detectron2(name) for name in names]
        assert len(set(renamed)) == len(names)
        assert [from_detectron2(name) for name in renamed] == names


def test_counters_that_old_files_lack_start_at_zero():
    old = {k: v for k, v in ONLINE.items() if 'num_batches' not in k}
    backbone, _ = extract_backbone(old)
    assert set(backbone) == set(ONLINE)
    assert backbone['bn1.num_batches_tracked'] == 0


def test_other_precisions_are_converted_if_asked():
    half = {
        k: v.half() if v.is_floating_point() else v for k, v in ONLINE.items()
    }
    with pytest.raises(CheckpointError, match=r'float16.*--float32'):
        extract_backbone(half)
    backbone, _ = extract_backbone(half, float32=True)
    assert backbone['conv1.weight'].dtype == torch.float32
    assert torch.equal(backbone['conv1.weight'], half['conv1.weight'].float())


def test_tensors_of_one_storage_are_written_apart(tmp_path):
    # As one flat buffer, of which the backbone is a part.
    names = [k for k, v in ONLINE.items() if v.ndim]
    flat = torch.cat(
        [ONLINE[k].flatten() for k in names] + [torch.ones(10**6)]
    )
    shared = dict(ONLINE)
    start = 0
    for name in names:
        count = ONLINE[name].numel()
        shared[name] = flat[start : start + count].view(ONLINE[name].shape)
        start += count
    torch.save(shared, tmp_path / 'shared.pth')
    backbone, meta = extract_backbone(read_checkpoint(tmp_path / 'shared.pth'))
    save_backbone(tmp_path / 'a.pth', backbone, meta)
    assert equal(extract_backbone(ONLINE)[0], backbone)
    sizes = [(tmp_path / n).stat().st_size for n in ('a.pth', 'shared.pth')]
    assert sizes[0] < sizes[1] - 10**6


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
