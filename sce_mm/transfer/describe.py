"""Describe a network: architecture, strides, pixels, norms.

That is what a detector must have in common with the pretraining.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

BATCH, STORED = 'statistics of the batch', 'stored statistics'
# What mmengine makes of SyncBN where there is but one process.
NAMES = {'_BatchNormXd': 'SyncBN (BN in one process)'}


def describe_model(model: Any, epochs: int | None) -> dict[str, Any]:
    """What a checkpoint says of a model under ``meta.sce_mm``.

    Args:
        model: Model with a ``backbone`` and a ``data_preprocessor``.
        epochs: Epochs that it was trained for.
    """
    return {
        **describe_backbone(model.backbone),
        **describe_input(model.data_preprocessor),
        'method': type(model).__name__,
        'epochs': epochs,
    }


def describe_backbone(backbone: nn.Module) -> dict[str, str | None]:
    """Architecture and, for a ResNet, where it puts its strides."""
    depth = getattr(backbone, 'depth', None)
    name = type(backbone).__name__
    return {
        'arch': f'{name}-{depth}' if isinstance(depth, int) else name,
        'style': getattr(backbone, 'style', None),
    }


def describe_input(preprocessor: nn.Module) -> dict[str, Any]:
    """Order of channels, mean and std as the network gets its pixels.

    Images are read in the order of OpenCV, so a preprocessor that swaps the
    channels hands RGB on, and one that does not BGR.

    Returns:
        ``channel_order``, ``mean`` and ``std``; None where the preprocessor
        has no say.
    """
    metadata: dict[str, Any] = dict.fromkeys(('channel_order', 'mean', 'std'))
    # The one of mmpretrain's classifiers has another name for it.
    swaps = getattr(
        preprocessor,
        '_channel_conversion',
        getattr(preprocessor, 'to_rgb', None),
    )
    if swaps is None:
        return metadata
    metadata['channel_order'] = 'rgb' if swaps else 'bgr'
    if preprocessor._enable_normalize:
        for name in ('mean', 'std'):
            values = getattr(preprocessor, name).flatten().tolist()
            metadata[name] = [round(value, 4) for value in values]
    return metadata


def norm_modes(parts: Mapping[str, nn.Module]) -> dict[str, int]:
    """Batch norm layers, counted by kind and present mode."""
    modes: Counter[str] = Counter()
    for part in parts.values():
        for module in part.modules():
            if isinstance(module, _BatchNorm):
                mode = BATCH if module.training else STORED
                name = type(module).__name__
                modes[f'{NAMES.get(name, name)}, {mode}'] += 1
    return dict(modes)


def stride_style(parts: Mapping[str, nn.Module]) -> str | None:
    """Where bottlenecks have their strides.

    Returns:
        ``'pytorch'`` (3 x 3), ``'caffe'`` (1 x 1), ``'mixed'`` if the parts
        differ; without strided bottlenecks what the backbone says.
    """
    styles = set()
    for part in parts.values():
        for module in part.modules():
            convs = dict(module.named_children())
            if {'conv1', 'conv2', 'conv3'} <= set(convs):
                strides = [
                    getattr(convs[name], 'stride', 1)
                    for name in ('conv1', 'conv2')
                ]
                if strides[0] in (2, (2, 2)):
                    styles.add('caffe')
                if strides[1] in (2, (2, 2)):
                    styles.add('pytorch')
    if not styles:
        return describe_backbone(parts['backbone'])['style']
    return styles.pop() if len(styles) == 1 else 'mixed'


def check_pixels(
    meta: Mapping[str, Any], preprocessor: nn.Module, path: str
) -> None:
    """Check that images come as those that the weights were trained on.

    Args:
        meta: Meta block of a :class:`~sce_mm.transfer.Backbone`; what it does
            not know is not compared.
        preprocessor: Data preprocessor of the config.
        path: File of the weights, for the message.

    Raises:
        ValueError: Order of channels, mean or std differ.
    """
    for name, value in describe_input(preprocessor).items():
        trained = meta.get(name)
        if None not in (value, trained) and not settings_equal(value, trained):
            raise ValueError(
                f'{path} was trained with {name} = {trained}, but the '
                f'config has {value}: change model.data_preprocessor'
            )


def settings_equal(value: Any, expected: Any) -> bool:
    """Whether two settings are equal, numbers to 0.01 of a grey level."""
    if isinstance(expected, list) and isinstance(value, list):
        return len(value) == len(expected) and all(
            abs(a - b) < 0.01 for a, b in zip(value, expected, strict=True)
        )
    return value == expected
