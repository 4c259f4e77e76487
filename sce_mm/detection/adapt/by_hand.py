"""Refuse configs that the tool cannot change rightly; say what to do by hand.

Refused are a network of another architecture than the weights, a detector that
is a part of another model, one that learns from a teacher, and one that
compares colours of RGB pixels but gets weights for BGR.
"""

import re
from collections.abc import Mapping
from typing import Any

from mmdet.models.backbones import ResNet

from ...config.parts import type_name
from ...downstream import AdaptError, BackboneFile, ConfigEdits
from ...downstream.backbone import BACKBONE
from ...downstream.part_classes import class_of
from ...transfer.networks.resnet import ResNetArchitecture

# ResNets under the names of the plain one. The others differ in their tensors.
RESNETS = ('ResNet', 'DetectoRS_ResNet', 'TridentResNet')
# What takes features of several stages, with the channels of each.
TAKES_STAGES = ('model.neck', 'model.neck[0]', 'model.panoptic_head')
# Their strides are those of their own networks.
OTHER_STRIDES = ('SSDNeck',)
STAGES = 4
# Channels of the first stage, by default.
_WIDTH = 64


def require_detector(edits: ConfigEdits) -> None:
    """Check that the model is a detector alone.

    Raises:
        AdaptError: It is none, a part of another model, or has a teacher.
    """
    model = edits.get('model')
    if not isinstance(model, dict):
        raise AdaptError(
            'the config has no model: give the config of a whole training'
        )
    kind = type_name(model)
    pixels = 'model.data_preprocessor'
    if edits.get(f'{pixels}.data_preprocessor'):
        # Of several branches.
        pixels += '.data_preprocessor'
    if isinstance(edits.get('model.detector'), dict):
        raise AdaptError(
            f'the detector is inside of a {kind}, under model.detector: make '
            'the config of that detector alone, set model.detector to the '
            f'model of that config, {pixels} to its mean, std '
            'and order of channels, and default_hooks.verify_transfer to '
            'None, as it looks for model.backbone'
        )
    if not isinstance(edits.get(BACKBONE), dict):
        raise AdaptError(
            f'the config has no model.backbone, a {kind} has its network '
            'elsewhere: give the config of a detector that has one'
        )
    if teacher := [key for key in model if key.startswith('teacher')]:
        raise AdaptError(
            f'a {kind} learns from a teacher (model.{teacher[0]}), which '
            'would be shown the pixels of this pretraining and not those that '
            'it knows: take the config of the student without the teacher'
        )


def require_architecture(edits: ConfigEdits, file: BackboneFile) -> None:
    """Check that the backbone is of the architecture of a ResNet's file.

    Tensors are compared later; this is for the sentence that helps.

    Raises:
        AdaptError: It is another one.
    """
    arch = str(file.backbone.meta['arch'])
    resnet = re.fullmatch(r'ResNet-(\d+)', arch)
    backbone = edits.get(BACKBONE)
    kind, depth = type_name(backbone), backbone.get('depth')
    if not resnet:
        return
    found = file.backbone.architecture
    assert isinstance(found, ResNetArchitecture)
    here = f'{kind}-{depth}' if isinstance(depth, int) else kind
    own = _is_own(class_of(backbone))
    if (kind in RESNETS or own) and depth == int(resnet[1]):
        width = backbone.get('base_channels') or _WIDTH
        stem = backbone.get('stem_channels') or width
        if (found.width, found.stem) == (width, stem):
            return
        here += f' with base_channels={width}, stem_channels={stem}'
        arch += (
            f' with base_channels={found.width}, stem_channels={found.stem}'
        )
    message = (
        f'{BACKBONE} is a {here}, and the weights are of a {arch}: take a '
        f'config of the same detector with a {arch}'
    )
    if lines := _replacement(edits, found, 'ResNet' if own else kind):
        some = 'the line' if len(lines) == 1 else 'the lines'
        message += (
            f', or write a config that inherits this one and has {some} '
            + ' and '.join(lines)
        )
    raise AdaptError(message)


def _is_own(cls: type | None) -> bool:
    """Whether a class is a ResNet of mmdet that its user has derived."""
    return (
        cls is not None
        and issubclass(cls, ResNet)
        and not cls.__module__.startswith('mmdet.')
    )


def _options(
    found: ResNetArchitecture, before: Mapping[str, Any]
) -> dict[str, int]:
    """What makes mmdet's ResNet with some options the network of a file."""
    wanted = {'depth': found.depth, 'base_channels': found.width}
    known = {'base_channels': _WIDTH, **before}
    options = {k: v for k, v in wanted.items() if v != known.get(k)}
    # By default as wide as the first stage.
    if found.stem != (before.get('stem_channels') or found.width):
        options['stem_channels'] = found.stem
    return options


def require_colours(edits: ConfigEdits, file: BackboneFile) -> None:
    """Check that a detector which compares colours gets RGB pixels.

    Raises:
        AdaptError: The file is of BGR pixels.
    """
    kind = type_name(edits.get('model.data_preprocessor'))
    order = file.backbone.meta['channel_order']
    if kind == 'BoxInstDataPreprocessor' and order != 'rgb':
        raise AdaptError(
            f'a {kind} compares colours of RGB pixels, and the weights were '
            f'pretrained on {order.upper()} ones: take weights of RGB pixels'
        )


def _replacement(
    edits: ConfigEdits, found: ResNetArchitecture, kind: str
) -> list[str]:
    """Lines that put the ResNet of the file in the place of a backbone."""
    if edits.get(f'{BACKBONE}.arch') == 'P6':
        # Strides of 8 to 64.
        return []
    wide = found.width * (4 if found.bottleneck else 1)
    stages = [wide << stage for stage in range(STAGES)]
    for where in TAKES_STAGES:
        channels: Any = edits.get(f'{where}.in_channels')
        if not isinstance(channels, list | tuple):
            continue
        if type_name(edits.get(where)) in OTHER_STRIDES:
            return []
        first = STAGES - len(channels)
        new = stages[first:]
        if first < 0:
            return []
        if [*channels] != sorted(channels):
            # YOLOv3 takes the deepest first.
            new = new[::-1]
        indices = tuple(range(first, STAGES))
        if kind == 'ResNet':
            options: dict[str, Any] = _options(found, edits.get(BACKBONE))
            lines = [
                f'_base_.{BACKBONE}.{key} = {value}'
                for key, value in options.items()
            ]
        else:
            options = {
                'type': "'ResNet'",
                **_options(found, {}),
                'out_indices': indices,
            }
            words = [f'{key}={value}' for key, value in options.items()]
            lines = [f'_base_.{BACKBONE} = dict({", ".join(words)})']
        if [*channels] != new:
            lines += [f'_base_.{where}.in_channels = {new}']
        return lines
    return []
