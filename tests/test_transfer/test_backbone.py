"""From the checkpoints of other code bases to a backbone, and back."""

import pytest
import torch
from mmpretrain.models import ResNet, ResNet_CIFAR
from transfer_files import prefixed

from sce_mm.transfer import (
    Backbone,
    CheckpointError,
    extract_backbone,
    load_backbone,
    read_checkpoint,
    save_backbone,
    tensor_hash,
)
from sce_mm.transfer.networks.resnet import DETECTRON2, to_detectron2


def resnet(depth=18, seed=0, width=8, **options):
    torch.manual_seed(seed)
    return ResNet(depth, base_channels=width, stem_channels=width, **options)


ONLINE, MOMENTUM = resnet().state_dict(), resnet(seed=1).state_dict()
ONE = torch.ones(1)
HEAD = {'fc.weight': torch.ones(3, 64), 'fc.bias': torch.ones(3)}


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


# Two branches, two of which one is mixed, one branch; what is assumed.
TWO = {
    'sce_mm pretraining': branches('backbone.', 'momentum_encoder.backbone.')
    | {'queue.features': ONE, 'neck.fc0.weight': ONE},
    'official SCE (CEA-LIST, eztorch)': branches('trunk.', 'momentum_trunk.')
    | {'projector.layers.0.weight': ONE, 'queue': ONE},
    'MoCo v1 and v2': branches('module.encoder_q.', 'module.encoder_k.', HEAD)
    | {'module.queue': ONE},
    'MoCo v3': branches(
        'module.base_encoder.', 'module.momentum_encoder.', HEAD
    )
    | {'module.predictor.0.weight': ONE},
    'lightly': branches('backbone.', 'backbone_momentum.', row=True)
    | {'projection_head.layers.0.weight': ONE},
    'DINO of lightly': branches(
        'student_backbone.', 'teacher_backbone.', row=True
    ),
    'DINO and iBOT': {
        'student': prefixed('module.backbone.', ONLINE)
        | {'module.head.last_layer.weight': ONE},
        'teacher': prefixed('backbone.', MOMENTUM),
        'dino_loss': {'center': ONE},
    },
    'solo-learn': branches('backbone.', 'momentum_backbone.')
    | {'projector.0.weight': ONE},
    'MoCo of mmselfsup': branches('backbone.', 'encoder_k.0.')
    | prefixed('encoder_q.0.', ONLINE),
    'BYOL of mmselfsup': branches('backbone.', 'target_net.0.'),
}
MIXED = {
    'MoCo of mmpretrain': branches('backbone.', 'encoder_k.module.0.'),
    'MoCo v3 of mmpretrain': branches(
        'backbone.', 'momentum_encoder.module.0.'
    )
    | {'momentum_encoder.steps': torch.tensor(9)},
    'BYOL of mmpretrain': branches('backbone.', 'target_net.module.0.'),
}
ONE_BRANCH = {
    'torchvision detector': prefixed('backbone.body.', ONLINE)
    | {'backbone.fpn.inner_blocks.0.0.weight': ONE},
    'DETR': prefixed('backbone.0.body.', ONLINE)
    | {'transformer.decoder.norm.weight': ONE},
    'mmpretrain, mmselfsup or mmdet': prefixed('backbone.', ONLINE)
    | {'head.fc.weight': ONE},
    'MAE of lightly': prefixed('backbone.vit.', ONLINE)
    | {'backbone.mask_token': ONE},
    'detectron2 detector': prefixed(
        'backbone.bottom_up.',
        {to_detectron2(k): v for k, v in ONLINE.items()},
    )
    | {'backbone.fpn_lateral2.weight': ONE},
    'network below encoder.': prefixed('module.encoder.', ONLINE | HEAD)
    | {'module.predictor.0.weight': ONE},
    'network below model.backbone.': prefixed('model.backbone.', ONLINE),
    'detectron2': {to_detectron2(k): v for k, v in ONLINE.items()}
    | {'stem.fc.weight': ONE},
    'bare backbone (exported, torchvision, timm)': ONLINE | HEAD,
}
CHECKPOINTS = TWO | MIXED | ONE_BRANCH
ASSUMED = ('official SCE (CEA-LIST, eztorch)', 'MoCo v1 and v2', 'MoCo v3')


def equal(first, second):
    assert list(first) == list(second)
    return all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize('source', CHECKPOINTS)
def test_the_branches_of_each_format(source):
    checkpoint = CHECKPOINTS[source]
    weights, meta, _ = extract_backbone({'state_dict': checkpoint})
    assert equal(weights, ONLINE)
    assert (meta['source'], meta['branch']) == (source, 'online')
    assert meta['arch'] == 'ResNet-18'
    if source in ASSUMED:
        assert meta['mean'] == [123.675, 116.28, 103.53]
        # Without bottlenecks there are no strides to know.
        assert meta['assumed'] == ['channel_order', 'mean', 'std']
    else:
        assert meta['mean'] is meta['style'] is None
        assert meta['assumed'] == []
    if source in TWO:
        weights, meta, _ = extract_backbone(checkpoint, 'momentum')
        assert equal(weights, MOMENTUM)
        assert meta['branch'] == 'momentum'
    elif source in MIXED:
        with pytest.raises(CheckpointError, match='take the online branch'):
            extract_backbone(checkpoint, 'momentum')
    else:
        with pytest.raises(CheckpointError, match='has no momentum branch'):
            extract_backbone(checkpoint, 'momentum')


def test_nothing_is_assumed_of_networks_for_small_images():
    small = ResNet_CIFAR(18, base_channels=8, stem_channels=8).state_dict()
    meta = extract_backbone(prefixed('trunk.', small)).meta
    assert (meta['arch'], meta['mean']) == ('ResNet_CIFAR-18', None)


@pytest.mark.parametrize('first', [2, 4])
@pytest.mark.parametrize('prefix', ['', 'backbone.', 'encoder_q.'])
def test_numbered_children_get_their_names_back(first, prefix):
    # 2: the small networks of lightly, without pooling among the children.
    tensors = prefixed(prefix, numbered(ONLINE | HEAD, first))
    if first == 2:
        tensors = {
            k.replace('downsample', 'shortcut'): v for k, v in tensors.items()
        }
    assert equal(extract_backbone(tensors).weights, ONLINE)


def test_names_of_detectron2():
    # Written out: the rule itself is tested elsewhere.
    for ours, theirs in {
        'conv1.weight': 'stem.conv1.weight',
        'bn1.running_mean': 'stem.conv1.norm.running_mean',
        'layer1.0.bn2.bias': 'res2.0.conv2.norm.bias',
        'layer4.0.downsample.1.bias': 'res5.0.shortcut.norm.bias',
    }.items():
        assert to_detectron2(ours) == theirs
    names = [*resnet(50).state_dict()]
    renamed = [to_detectron2(name) for name in names]
    assert len(set(renamed)) == len(names)
    assert [DETECTRON2.renamed(name) for name in renamed] == names


def test_counters_that_old_files_lack_start_at_zero():
    old = {k: v for k, v in ONLINE.items() if 'num_batches' not in k}
    weights = extract_backbone(old).weights
    assert set(weights) == set(ONLINE)
    assert weights['bn1.num_batches_tracked'] == 0


def test_tensors_of_one_storage_are_written_apart(tmp_path):
    # As one flat buffer, of which the backbone is a part.
    flat = torch.cat([ONLINE['bn1.weight'], torch.ones(10**6)])
    save_backbone(
        tmp_path / 'a.pth',
        extract_backbone(ONLINE | {'bn1.weight': flat[:8]}),
    )
    assert (tmp_path / 'a.pth').stat().st_size < 10**6


def test_metadata_of_the_training_travels_with_the_file(tmp_path):
    known = {'arch': 'ResNet-18', 'mean': [1.0, 2.0, 3.0], 'epochs': 7}
    checkpoint = {
        'state_dict': prefixed('backbone.', ONLINE),
        'meta': {'sce_mm': known, 'cfg': 'raise SystemExit'},
    }
    backbone = extract_backbone(checkpoint)
    save_backbone(tmp_path / 'a.pth', backbone)
    # Any torch reads it, safely and without this package.
    content = torch.load(tmp_path / 'a.pth', weights_only=True)
    assert content['meta'] == backbone.meta
    assert content['meta'].items() >= known.items()
    assert backbone.meta['style'] is None
    # Extracting again changes nothing.
    again = extract_backbone(read_checkpoint(tmp_path / 'a.pth'))
    assert equal(again.weights, backbone.weights)
    assert again.meta == backbone.meta


def test_a_backbone_file_has_one_branch_and_may_say_little(tmp_path):
    weights, meta, _ = extract_backbone(ONLINE)
    with pytest.raises(CheckpointError, match='holds the online branch alone'):
        extract_backbone({'state_dict': weights, 'meta': meta}, 'momentum')
    least = {k: meta[k] for k in ('format', 'version', 'sha256')}
    meta = extract_backbone({'state_dict': weights, 'meta': least}).meta
    assert (meta['source'], meta['mean']) == ('unknown', None)


def test_the_hash_sees_values_names_types_and_shapes():
    base = {'a': torch.zeros(2, 3), 'b': torch.ones(2)}
    others = [
        base | {'b': torch.tensor([1.0, 1.0 + 1e-7])},
        {'a': base['a'], 'c': base['b']},
        base | {'a': torch.zeros(3, 2)},
        base | {'b': torch.ones(2, dtype=torch.bfloat16)},
    ]
    hashes = {tensor_hash(tensors) for tensors in [base, *others]}
    assert len(hashes) == 5
    assert tensor_hash(dict(reversed(base.items()))) == tensor_hash(base)


@pytest.mark.parametrize(
    ('weights', 'message'),
    [
        (ONLINE | HEAD, 'no place for: fc.weight'),
        (
            {k: v for k, v in ONLINE.items() if k != 'bn1.bias'},
            '1 missing in the file: bn1.bias',
        ),
        (
            ONLINE | {'conv1.weight': torch.ones(8, 3, 3, 3)},
            'the stems differ: [3, 3] in the file, [7, 7] in the model',
        ),
        (resnet(34).state_dict(), 'the depths or the kinds of blocks differ'),
        (resnet(width=16).state_dict(), 'the widths differ'),
        (prefixed('backbone.', ONLINE), 'no name is common to both'),
    ],
)
def test_loading_is_strict_and_says_why_it_refuses(weights, message):
    module = resnet(seed=3)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    with pytest.raises(CheckpointError) as error:
        load_backbone(module, Backbone(weights, {'source': 'x.pth'}))
    assert message in str(error.value)
    # Nothing is half-loaded.
    assert equal(module.state_dict(), before)
    load_backbone(module, Backbone(ONLINE, {'source': 'x.pth'}))
    assert equal(module.state_dict(), ONLINE)


def test_a_pyramid_travels_with_its_backbone(tmp_path):
    inside = {'lateral.weight': torch.rand(4, 8), 'norm.bias': torch.rand(4)}
    other = {name: tensor + 1 for name, tensor in inside.items()}
    checkpoint = {
        **branches('backbone.', 'momentum_encoder.backbone.'),
        **prefixed('pyramid.', inside),
        **prefixed('momentum_encoder.pyramid.', other),
    }
    for branch, pyramid in (('online', inside), ('momentum', other)):
        backbone = extract_backbone(checkpoint, branch)
        assert equal(backbone.pyramid, pyramid)
        path = tmp_path / f'{branch}.pth'
        save_backbone(path, backbone)
        again = extract_backbone(read_checkpoint(path))
        assert equal(again.weights, backbone.weights)
        assert equal(again.pyramid, pyramid)
        assert again.meta == backbone.meta
    # One hash for both parts.
    content = torch.load(path, weights_only=True)
    content['state_dict']['pyramid.norm.bias'][0] += 1
    with pytest.raises(CheckpointError, match='its hash says so'):
        extract_backbone(content)
    # Without one, a file is what it was before there were pyramids.
    plain = extract_backbone(ONLINE)
    assert plain.tensors.keys() == plain.weights.keys()


def test_a_pyramid_in_half_precision_is_converted_with_the_rest():
    checkpoint = {
        **branches('backbone.', 'momentum_encoder.backbone.'),
        'pyramid.weight': torch.ones(2).half(),
    }
    with pytest.raises(CheckpointError, match='not in single precision'):
        extract_backbone(checkpoint)
    (weight,) = extract_backbone(checkpoint, float32=True).pyramid.values()
    assert weight.dtype is torch.float32


def test_a_network_with_its_strides_elsewhere_is_not_loaded():
    weights = resnet(50).state_dict()
    backbone = Backbone(weights, {'source': 'x.pth', 'style': 'pytorch'})
    net = resnet(50, style='caffe', seed=1)
    before = net.conv1.weight.clone()
    with pytest.raises(CheckpointError, match='caffe here and was pytorch'):
        load_backbone(net, backbone)
    assert net.conv1.weight.equal(before)
