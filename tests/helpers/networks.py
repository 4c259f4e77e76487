"""Small networks that are no ResNet, for detectors and segmentors.

A MobileNetV2 stands for those that no tensor shows.
"""

import torch
from mmpretrain.models import (
    ConvNeXt,
    MobileNetV2,
    SwinTransformer,
    VisionTransformer,
)
from transfer_files import METADATA

from sce_mm.downstream import BackboneFile
from sce_mm.transfer import extract_backbone, save_backbone

SWIN = dict(embed_dims=8, depths=[2, 2, 2, 2], num_heads=[1, 2, 2, 4])
CONVNEXT = dict(depths=[1, 1, 3, 1], channels=[8, 16, 24, 32])
VIT = dict(embed_dims=16, num_layers=3, num_heads=4, feedforward_channels=64)
MAKE = {
    'swin': lambda: SwinTransformer(SWIN),
    'convnext': lambda: ConvNeXt(CONVNEXT),
    'vit': lambda: VisionTransformer(VIT, img_size=32, patch_size=8),
    'mobilenet': lambda: MobileNetV2(widen_factor=0.25),
}
NEW = 'backbone.norm0., backbone.norm1., backbone.norm2.'


def trained_network(name):
    """A network of which no two tensors of one shape are equal."""
    torch.manual_seed(0)
    model = MAKE[name]()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.05)
    return model


def network_file(name, folder):
    """A backbone file of such a network."""
    backbone = extract_backbone(trained_network(name).state_dict())
    heads = 4 if name == 'vit' else None
    backbone.meta.update(METADATA, style=None, num_heads=heads)
    path = folder / f'{name}.pth'
    save_backbone(path, backbone)
    return BackboneFile(path, backbone)


def parameters_that_move(model, before):
    """Names of parameters of a backbone that a training has to change.

    The class token gives no map, and the position embedding moves by less
    than a digit in two steps. Of a MobileNet the last convolution gives none,
    and what a norm adds to a map the next norm takes away.
    """
    still = 'cls_token', 'pos_embed', 'conv2.'
    return {
        name
        for name, _ in model.named_parameters()
        if name in before
        and not name.startswith(still)
        and not name.endswith('bn.bias')
    }
