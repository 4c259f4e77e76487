"""Networks for tests of transfer, and tools run in this process."""

import runpy
import sys

import torch
from mmpretrain.models import ResNet, ResNet_CIFAR
from torch import nn

from sce_mm.cli.exit import message_of
from sce_mm.transfer import Backbone, extract_backbone, save_backbone

METADATA = {
    'method': 'SCE',
    'epochs': 3,
    'channel_order': 'rgb',
    'mean': [123.675, 116.28, 103.53],
    'std': [58.395, 57.12, 57.375],
    'style': 'pytorch',
    'num_heads': None,
    'stretch': None,
}


def trained(depth=18, width=64, small=False, seed=0, style='pytorch'):
    """State of a ResNet whose statistics are not those it starts with."""
    torch.manual_seed(seed)
    cls = ResNet_CIFAR if small else ResNet
    model = cls(depth, base_channels=width, stem_channels=width, style=style)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    return model.state_dict()


def prefixed(prefix, tensors):
    """The same tensors with something before their names."""
    return {prefix + name: tensor for name, tensor in tensors.items()}


def pretraining(weights, **metadata):
    """What a training checkpoint of ours holds."""
    return {
        'state_dict': prefixed('backbone.', weights)
        | prefixed('momentum_encoder.backbone.', weights),
        'meta': {'sce_mm': METADATA | metadata},
    }


def backbone_writer(folder):
    """``write(channels, depth, **metadata)``: backbone file of a ResNet."""
    written = {}

    def write(channels=16, depth=18, **metadata):
        key = repr((channels, depth, metadata))
        if key not in written:
            torch.manual_seed(0)
            net = ResNet(depth, base_channels=channels, stem_channels=channels)
            backbone, meta, _ = extract_backbone(net.state_dict())
            path = folder / f'{len(written)}.pth'
            meta |= METADATA | metadata
            save_backbone(path, Backbone(backbone, meta))
            written[key] = path
        return written[key]

    return write


def run_tool(path, capsys, monkeypatch, *words):
    """Exit code and everything printed by a tool with these arguments."""
    monkeypatch.setattr(sys, 'argv', [str(path), *map(str, words)])
    code = 0
    try:
        runpy.run_path(str(path))['main']()
    except SystemExit as stop:
        code = stop.code
    except Exception as error:
        message = message_of(error)
        if message is None:
            raise
        code = f'error: {message}'
    text = ''.join(capsys.readouterr())
    if isinstance(code, str):
        return 1, text + code
    return code or 0, text
