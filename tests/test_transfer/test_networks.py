"""Transformers and ConvNeXts of other libraries compute the same here."""

import re
from functools import partial

import pytest
import torch
from mmpretrain.models import (
    ResNet,
    SwinTransformer,
    TIMMBackbone,
    VisionTransformer,
)
from networks import trained_network
from timm.models import convnext, swin_transformer, vision_transformer
from torch import nn
from torchvision.models import convnext as tv_convnext
from torchvision.models import swin_transformer as tv_swin
from torchvision.models import vision_transformer as tv_vit
from transfer_files import METADATA, prefixed, pretraining

from sce_mm.transfer import (
    CheckpointError,
    extract_backbone,
    load_backbone,
    read_checkpoint,
    save_backbone,
    tensor_hash,
)
from sce_mm.transfer.export.export import export, snippet
from sce_mm.transfer.formats import IMAGENET, below
from sce_mm.transfer.networks.families import last_features

SWIN = dict(embed_dim=8, depths=(2, 2, 2, 2), num_heads=(1, 2, 2, 4))
DEPTHS, DIMS = (1, 1, 3, 1), (8, 16, 24, 32)


def swin(**options):
    return swin_transformer.SwinTransformer(num_classes=3, **SWIN, **options)


def swin_of_torchvision():
    return tv_swin.SwinTransformer(
        [4, 4], 8, [2, 2, 2, 2], [1, 2, 2, 4], [7, 7], num_classes=3
    )


def convnext_of_torchvision():
    widths = zip(DIMS, (*DIMS[1:], None), DEPTHS, strict=True)
    setting = [tv_convnext.CNBlockConfig(*numbers) for numbers in widths]
    return tv_convnext.ConvNeXt(setting, num_classes=3)


def convnext_of_timm(**options):
    return convnext.ConvNeXt(
        depths=DEPTHS, dims=DIMS, num_classes=3, **options
    )


def vit(**options):
    return vision_transformer.VisionTransformer(
        img_size=32,
        patch_size=8,
        embed_dim=16,
        depth=2,
        num_heads=4,
        num_classes=3,
        **options,
    )


def vit_of_torchvision():
    return tv_vit.VisionTransformer(32, 8, 2, 4, 16, 64, num_classes=3)


def narrow(depth, **options):
    return ResNet(depth, base_channels=8, stem_channels=8, **options)


def last_of_timm(model, images):
    """Last map of a network of timm, or its tokens as a map."""
    features = model.forward_features(images)
    if features.ndim == 3:
        tokens = features[:, 1:].transpose(1, 2)
        return tokens.unflatten(-1, (4, 4))
    if features.shape[1] != features.shape[2]:
        # timm normalises a ConvNeXt after the pooling.
        return model.head.norm(features)
    return features.permute(0, 3, 1, 2)


def last_of_swin(model, images):
    return model.norm(model.features(images)).permute(0, 3, 1, 2)


def last_of_convnext(model, images):
    return model.classifier[0](model.features(images))


def last_of_vit(model, images):
    tokens = model._process_input(images)
    token = model.class_token.expand(len(tokens), -1, -1)
    tokens = model.encoder(torch.cat([token, tokens], 1))
    return tokens[:, 1:].transpose(1, 2).unflatten(-1, (4, 4))


# Network of another library, what it computes, and how it is called here.
NETWORKS = {
    'timm swin': (swin, last_of_timm, 'SwinTransformer-8-2-2-2-2'),
    'timm swin, small windows': (
        partial(swin, img_size=128, window_size=4),
        last_of_timm,
        'SwinTransformer-8-2-2-2-2',
    ),
    'torchvision swin': (
        swin_of_torchvision,
        last_of_swin,
        'SwinTransformer-8-2-2-2-2',
    ),
    'timm convnext': (
        convnext_of_timm,
        last_of_timm,
        'ConvNeXt-8-16-24-32',
    ),
    'timm convnext v2, convolutions': (
        partial(
            convnext_of_timm, use_grn=True, ls_init_value=None, conv_mlp=True
        ),
        last_of_timm,
        'ConvNeXt-8-16-24-32',
    ),
    'torchvision convnext': (
        convnext_of_torchvision,
        last_of_convnext,
        'ConvNeXt-8-16-24-32',
    ),
    'timm vit': (vit, last_of_timm, 'VisionTransformer-16x2-p8'),
    'torchvision vit': (
        vit_of_torchvision,
        last_of_vit,
        'VisionTransformer-16x2-p8',
    ),
}


def random_weights(model, seed=0):
    """Give every parameter its own values, so that no order is lost."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.1, 0.3)
    return model.eval()


@pytest.mark.parametrize('name', NETWORKS)
def test_networks_of_other_libraries_compute_the_same(name, tmp_path):
    make, last, arch = NETWORKS[name]
    model = random_weights(make())
    weights, meta, _ = extract_backbone(model.state_dict())
    assert meta['arch'] == arch
    assert meta['mean'] is meta['num_heads'] is None
    # Of the tensors of the file the classifier alone is left out.
    classifier = sum(t.numel() for t in list(model.parameters())[-2:])
    count = sum(t.numel() for t in model.parameters()) - classifier
    indices = [n for n in weights if n.endswith('relative_position_index')]
    assert count == sum(weights[k].numel() for k in {*weights} - {*indices})
    backbone = extract_backbone(model.state_dict())
    backbone.meta.update(METADATA, num_heads=4)
    save_backbone(tmp_path / 'a.pth', backbone)
    again = extract_backbone(read_checkpoint(tmp_path / 'a.pth'))
    assert again.meta == backbone.meta
    size = again.architecture.image_size
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        expected = last(model, images)
    found = last_features(again.network(), images)
    assert torch.allclose(found, expected, atol=1e-4 * expected.abs().max())


def names_of_the_authors(tensors, rules):
    for pattern, replacement in rules:
        tensors = {
            re.sub(pattern, replacement, name): tensor
            for name, tensor in tensors.items()
        }
    return tensors


@pytest.mark.parametrize(
    'model',
    [
        swin(),
        convnext_of_timm(),
        convnext_of_timm(use_grn=True, ls_init_value=None),
        vit(),
    ],
    ids=['swin', 'convnext', 'convnext v2', 'vit'],
)
def test_names_in_the_code_of_the_authors(model):
    weights = random_weights(model).state_dict()
    expected = extract_backbone(weights).weights
    rules = {
        'SwinTransformer': [
            (
                r'^layers\.(\d)\.downsample',
                lambda match: f'layers.{int(match[1]) - 1}.downsample',
            ),
            (r'^head\.fc\.', 'head.'),
        ],
        'ConvNeXt': [
            (r'^stem\.', 'downsample_layers.0.'),
            (r'^stages\.(\d)\.downsample\.', r'downsample_layers.\1.'),
            (r'^(stages\.\d\.)blocks\.', r'\1'),
            (r'\bconv_dw\.', 'dwconv.'),
            (r'\bmlp\.fc', 'pwconv'),
            (r'\bmlp\.grn\.weight', 'grn.gamma'),
            (r'\bmlp\.grn\.bias', 'grn.beta'),
            (r'^head\.norm\.', 'norm.'),
            (r'^head\.fc\.', 'head.'),
        ],
        'VisionTransformer': [],
    }[type(model).__name__]
    theirs = {
        name: tensor[None, None, None] if '.grn.' in name else tensor
        for name, tensor in names_of_the_authors(weights, rules).items()
    }
    if type(model).__name__ == 'SwinTransformer':
        # Buffers that the authors store.
        theirs['layers.0.blocks.1.attn_mask'] = torch.ones(1)
        theirs['layers.0.blocks.1.attn.relative_position_index'] = torch.ones(
            49, 49, dtype=torch.int64
        )
    for prefix in ('', 'module.base_encoder.', 'backbone.'):
        found = extract_backbone(prefixed(prefix, theirs)).weights
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[k], expected[k]) for k in found)


def test_heads_that_moco_v3_has_are_assumed_and_those_of_others_asked():
    weights = random_weights(vit(class_token=True)).state_dict()
    backbone = extract_backbone(weights)
    with pytest.raises(CheckpointError, match='add --num-heads'):
        backbone.network()
    assert backbone.settings == ('channel_order', 'mean', 'std', 'num_heads')
    # What says the pixels says nothing of the heads.
    assert '--num-heads (' in backbone.unknown_options
    assert '--imagenet' in backbone.unknown_options
    known = backbone._replace(meta={**backbone.meta, **IMAGENET})
    assert known.unknown_options == '--num-heads'
    backbone.meta['num_heads'] = 4
    other = backbone._replace(meta=backbone.meta | {'num_heads': 2})
    with pytest.raises(CheckpointError, match='num_heads is 2 here and was 4'):
        load_backbone(other.network(), backbone)
    large = vision_transformer.VisionTransformer(
        embed_dim=24, depth=1, num_heads=2, num_classes=0
    ).state_dict()
    meta = extract_backbone(prefixed('base_encoder.', large)).meta
    assert meta['num_heads'] == 12
    assert meta['assumed'] == ['channel_order', 'mean', 'num_heads', 'std']


ONE = torch.ones(1, 1, 8)
SWAV = {'projection_head.0.weight': ONE, 'prototypes.weight': ONE}
MAE = {'mask_token': ONE, 'decoder_blocks.0.norm1.weight': ONE}


@pytest.mark.parametrize(
    ('network', 'prefix', 'heads'),
    [
        (narrow(18), 'module.', SWAV),
        (vit(), '', MAE),
        (vit(), 'student/backbone.', {'masked_embed': ONE}),
        (swin(), 'encoder.', {'mask_token': ONE}),
    ],
    ids=['SwAV', 'MAE', 'iBOT', 'SimMIM'],
)
def test_what_a_method_adds_to_a_network_is_left_out(network, prefix, heads):
    weights = network.state_dict()
    found = extract_backbone(prefixed(prefix, weights | heads))
    expected = extract_backbone(weights)
    assert found.meta['sha256'] == expected.meta['sha256']


def test_a_network_that_is_named_may_be_below_any_prefix():
    network = trained_network('mobilenet')
    weights = network.state_dict()
    theirs = prefixed('net.model.', weights)
    found = extract_backbone(theirs, network=network)
    assert found.meta['source'] == 'network below net.model.'
    assert found.weights.keys() == weights.keys()
    twice = theirs | prefixed('net.ema.', weights)
    with pytest.raises(CheckpointError, match=r'below net\.ema\., net\.mod'):
        extract_backbone(twice, network=network)


@pytest.mark.parametrize(
    'options',
    [
        {'norm_cfg': {'type': 'GN', 'num_groups': 4}},
        {'deep_stem': True},
    ],
    ids=['other norm', 'deep stem'],
)
def test_variants_of_a_resnet_from_our_training_are_taken(options):
    weights = narrow(18, **options).state_dict()
    checkpoint = pretraining(weights, arch='ResNet-18')
    backbone = extract_backbone(checkpoint)
    assert backbone.weights.keys() == weights.keys()
    assert backbone.meta['arch'] == 'ResNet-18'
    # Where the branches differ a tensor is missing.
    last = [name for name in weights if name.startswith('layer4')][-1]
    del checkpoint['state_dict'][f'backbone.{last}']
    for damaged in (checkpoint, weights):
        with pytest.raises(CheckpointError):
            extract_backbone(damaged)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda t: t.pop('layers.1.blocks.0.mlp.fc1.bias'),
            '1 missing in the file: stages.1.blocks.0.ffn.layers.0.0.bias',
        ),
        (
            lambda t: t.update(extra=nn.Parameter(torch.ones(1))),
            '1 that the model has no place for: extra',
        ),
        (
            lambda t: t.pop(
                'layers.1.blocks.0.attn.relative_position_bias_table'
            ),
            'no stages.1.blocks.0.attn.w_msa.relative_position_bias_table',
        ),
        (
            lambda t: t.update(
                {'patch_embed.proj.weight': torch.zeros(8, 3, 4, 4)}
            ),
            'patch_embed.projection.weight has nothing but zeros',
        ),
    ],
)
def test_what_is_no_whole_network_is_refused_by_name(change, message):
    tensors = dict(random_weights(swin()).state_dict())
    change(tensors)
    with pytest.raises(CheckpointError, match=re.escape(message)):
        extract_backbone(tensors)


def test_exports_of_a_transformer(tmp_path):
    backbone = extract_backbone(random_weights(swin()).state_dict())
    for target, suffix in (('mmpretrain', 'pth'), ('safetensors',) * 2):
        path = tmp_path / f'swin.{suffix}'
        assert export(target, path, backbone) <= 1e-5
        again = extract_backbone(read_checkpoint(path))
        assert again.meta == backbone.meta
        text = snippet(target, path, backbone)
        assert 'mmpretrain' in text
    for target, suffix in (('timm', 'pth'), ('onnx', 'onnx')):
        with pytest.raises(CheckpointError, match='only ResNets can be exp'):
            export(target, tmp_path / f'other.{suffix}', backbone)


def test_a_variant_that_only_our_training_has_is_taken_as_it_is():
    arch = dict(
        embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32
    )
    weights = VisionTransformer(
        arch, img_size=32, patch_size=8, out_type='avg_featmap'
    ).state_dict()
    checkpoint = pretraining(weights, arch='VisionTransformer', num_heads=2)
    backbone = extract_backbone(checkpoint)
    assert backbone.weights.keys() == weights.keys()
    assert backbone.meta['num_heads'] == 2
    with pytest.raises(CheckpointError, match=r'no place for: ln2\.weight'):
        extract_backbone(weights)


def test_the_network_that_is_named_decides_what_the_tensors_are():
    """Of ResNets of timm some compute what no tensor shows."""
    network = TIMMBackbone(
        'resnetblur18', features_only=True, out_indices=(1, 2, 3, 4)
    )
    theirs = below(network.state_dict(), 'timm_model.')
    assert extract_backbone(theirs).meta['arch'] == 'ResNet-18'
    weights, meta, _ = extract_backbone(theirs, network=network)
    assert meta['arch'] == 'TIMMBackbone'
    assert weights.keys() == network.state_dict().keys()
    file = {'state_dict': weights, 'meta': meta}
    with pytest.raises(CheckpointError, match="says arch='TIMMBackbone', and"):
        extract_backbone(file, network=ResNet(18))
    # Nor is a ResNet of our own training one of timm.
    ours = pretraining(theirs, arch='ResNet-18')
    with pytest.raises(CheckpointError, match='the config has a TIMMBackbone'):
        extract_backbone(ours, network=network)


def test_networks_of_timm_are_those_that_give_maps():
    """With features_only rows become parts, and the last norm is gone."""
    name = 'test_convnext'
    whole = TIMMBackbone(name)
    dense = TIMMBackbone(name, features_only=True, out_indices=(0, 1, 2, 3))
    weights = whole.state_dict()
    ours = pretraining(weights, arch='TIMMBackbone')
    file = extract_backbone(ours)
    theirs = below(weights, 'timm_model.')
    for checkpoint in (
        ours,
        {'state_dict': file.weights, 'meta': file.meta},
        theirs,
    ):
        found = extract_backbone(checkpoint, network=dense)
        assert found.meta['arch'] == 'TIMMBackbone'
        assert found.meta['sha256'] == tensor_hash(found.weights)
        dense.load_state_dict(found.weights)
        first = found.weights['timm_model.stages_0.blocks.0.conv_dw.weight']
        assert first.equal(theirs['stages.0.blocks.0.conv_dw.weight'])


def test_names_of_others_are_known_with_the_network_named():
    """Its strides and heads are part of it, and its size has to be right."""
    theirs = prefixed('encoder_q.', narrow(50).state_dict())
    sha256 = extract_backbone(theirs).meta['sha256']
    meta = extract_backbone(theirs, network=narrow(50, style='caffe')).meta
    assert meta['sha256'] == sha256
    assert (meta['arch'], meta['style']) == ('ResNet-50', 'caffe')
    assert meta['assumed'] == ['channel_order', 'mean', 'std']
    ours = pretraining(narrow(50).state_dict(), style='pytorch')
    weights, meta, _ = extract_backbone(ours)
    for checkpoint in (ours, {'state_dict': weights, 'meta': meta}):
        with pytest.raises(CheckpointError, match='caffe here and was pyto'):
            extract_backbone(checkpoint, network=narrow(50, style='caffe'))
    with pytest.raises(CheckpointError, match='a ResNet-50, not the R'):
        extract_backbone(theirs, network=narrow(34))
    # C4 detectors have the last stage in their head.
    three = dict(num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1))
    first = narrow(50, out_indices=(2,), **three)
    assert extract_backbone(theirs, network=first).meta['sha256'] == sha256
    heads = random_weights(vit()).state_dict()
    arch = dict(
        embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=64
    )
    network = VisionTransformer(
        arch, img_size=32, patch_size=8, out_type='featmap'
    )
    meta = extract_backbone(heads, network=network).meta
    assert (meta['arch'], meta['num_heads']) == (
        'VisionTransformer-16x2-p8',
        2,
    )


def test_norms_of_outputs_may_be_new_in_the_network_named():
    network = SwinTransformer(
        dict(embed_dims=8, depths=[2] * 4, num_heads=[1, 2, 2, 4]),
        out_indices=range(4),
    )
    weights = random_weights(swin()).state_dict()
    backbone = extract_backbone(weights, network=network)
    assert backbone.meta['arch'] == 'SwinTransformer-8-2-2-2-2'
    assert 'norm0.weight' not in backbone.weights
    # One that it has no output for is no tensor of it.
    early = SwinTransformer(
        dict(embed_dims=8, depths=[2] * 4, num_heads=[1, 2, 2, 4]),
        out_indices=range(3),
    )
    with pytest.raises(CheckpointError, match=r'no place for: norm3\.weight'):
        extract_backbone(weights, network=early)
