"""Metadata of weights: what a network says of itself, and what a file says.

Architecture, strides, pixels and norms are what a detector must have in
common with the pretraining.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..checkpoints.errors import CheckpointError

FORMAT = 'sce_mm.backbone'
VERSION = 1

# What a training stores. Each may be unknown in checkpoints of others.
PIXELS = ('channel_order', 'mean', 'std')
KEYS = (
    *('arch', 'method', 'epochs', *PIXELS, 'style', 'num_heads'),
    # Levels of images of more than 8 bits that became black and white.
    'stretch',
)
_CHOICES = {'channel_order': ('rgb', 'bgr'), 'style': ('pytorch', 'caffe')}
# These are written into configs and logs: no quotes, no line breaks.
_NAME = re.compile(r'[\w .,:+()/@-]{1,100}', re.ASCII)

# Where a config sets what it must have in common with a pretraining.
SETTING = {
    'channel_order': 'model.data_preprocessor.bgr_to_rgb (to_rgb in '
    'mmpretrain)',
    'mean': 'model.data_preprocessor.mean',
    'std': 'model.data_preprocessor.std',
    'style': 'model.backbone.style, and that of a shared head',
    'num_heads': 'model.backbone.arch',
}

# Name in the meta of a checkpoint of the hash of the weights that its training
# began from.
BEGAN_FROM = 'sce_mm_transfer'

BATCH, STORED = 'statistics of the batch', 'stored statistics'
# What mmengine makes of SyncBN where there is but one process.
_NORM_NAMES = {'_BatchNormXd': 'SyncBN (BN in one process)'}


def describe_model(model: Any, epochs: int | None) -> dict[str, Any]:
    """What a checkpoint says of a model under ``meta.sce_mm``.

    Args:
        model: With a ``backbone`` and a ``data_preprocessor``.
        epochs: Epochs that it was trained for.
    """
    return {
        **describe_backbone(model.backbone),
        **describe_input(model.data_preprocessor),
        'method': type(model).__name__,
        'epochs': epochs,
    }


def describe_backbone(backbone: nn.Module) -> dict[str, Any]:
    """Architecture, and what none of its tensors shows.

    That is, for a ResNet, where it puts its strides, and for a Vision
    Transformer the number of its attention heads.
    """
    depth = getattr(backbone, 'depth', None)
    name = type(backbone).__name__
    heads = attention_heads(backbone)
    return {
        'arch': f'{name}-{depth}' if isinstance(depth, int) else name,
        'style': getattr(backbone, 'style', None),
        'num_heads': heads[0] if len(heads) == 1 else None,
    }


def attention_heads(backbone: nn.Module) -> list[int]:
    """Attention heads of the layers of a Vision Transformer, each number once.

    Those that its layers really have; where they do not say, that of the
    architecture that the config names. A Swin has several numbers, which its
    tables of positions show; it is not asked. Of networks without attention
    there are none.
    """
    layers = getattr(backbone, 'layers', None)
    layers = layers if isinstance(layers, nn.ModuleList) else []
    attentions = [getattr(layer, 'attn', None) for layer in layers]
    found = [getattr(attention, 'num_heads', None) for attention in attentions]
    if not any(found):
        numbers = getattr(backbone, 'arch_settings', None)
        found = [
            numbers.get('num_heads') if isinstance(numbers, Mapping) else None
        ]
    return sorted({heads for heads in found if isinstance(heads, int)})


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
    swaps = getattr(preprocessor, 'to_rgb', None)
    swaps = getattr(preprocessor, '_channel_conversion', swaps)
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
    norms = [
        (type(module).__name__, BATCH if module.training else STORED)
        for part in parts.values()
        for module in part.modules()
        if isinstance(module, _BatchNorm)
    ]
    return Counter(
        f'{_NORM_NAMES.get(name, name)}, {mode}' for name, mode in norms
    )


def stride_style(parts: Mapping[str, nn.Module]) -> str | None:
    """Where bottlenecks have their strides.

    Returns:
        ``'pytorch'`` (3 x 3), ``'caffe'`` (1 x 1), ``'mixed'`` if the parts
        differ; None without strided bottlenecks.
    """
    styles = set()
    for part in parts.values():
        for module in part.modules():
            convs = dict(module.named_children())
            if {'conv1', 'conv2', 'conv3'} <= set(convs):
                for name, style in (('conv1', 'caffe'), ('conv2', 'pytorch')):
                    if getattr(convs[name], 'stride', 1) in (2, (2, 2)):
                        styles.add(style)
    return 'mixed' if len(styles) > 1 else next(iter(styles), None)


def settings_of(
    parts: Mapping[str, nn.Module], preprocessor: nn.Module | None = None
) -> dict[str, Any]:
    """Pixels, strides and attention heads as the modules of a model have them.

    Args:
        parts: What loads a file, by name; the heads are those of ``backbone``.
        preprocessor: Data preprocessor. One without an order of channels has
            no say in pixels.

    Returns:
        Values by the names of ``SETTING``, without those that no module has.
    """
    here = describe_input(preprocessor or nn.Identity())
    if here['channel_order'] is None:
        here = {}
    if style := stride_style(parts):
        here['style'] = style
    if heads := attention_heads(parts.get('backbone', nn.Identity())):
        here['num_heads'] = heads[0] if len(heads) == 1 else heads
    return here


def setting_differences(
    meta: Mapping[str, Any], here: Mapping[str, Any]
) -> dict[str, str]:
    """Settings in which a model differs from a file, each as text.

    Args:
        meta: Metadata of the file; what it does not know is not compared.
        here: Returned by :func:`settings_of`.
    """
    return {
        name: f'{name} is {value} here and was {meta[name]} in the '
        f'pretraining: change {SETTING[name]}'
        for name, value in here.items()
        if meta.get(name) is not None and not settings_equal(value, meta[name])
    }


def require_settings(
    meta: Mapping[str, Any], here: Mapping[str, Any], name: str
) -> None:
    """Check that a model has the settings of a file, which a name stands for.

    Raises:
        CheckpointError: Pixels, strides or attention heads differ.
    """
    if different := setting_differences(meta, here):
        texts = '; '.join(different.values())
        raise CheckpointError(f'{name} was trained otherwise: {texts}')


def settings_equal(value: Any, expected: Any) -> bool:
    """Whether two settings are equal, numbers to 0.01 of a grey level."""
    if isinstance(expected, list) and isinstance(value, list):
        return len(value) == len(expected) and all(
            abs(a - b) < 0.01 for a, b in zip(value, expected, strict=True)
        )
    return value == expected


def metadata_of(block: Any) -> dict[str, Any]:
    """The metadata of a block, None for what it does not say.

    The block is ``meta`` of a backbone file, or ``meta.sce_mm`` of a training
    checkpoint; anything else says nothing.

    Raises:
        CheckpointError: A value is one that this project never writes.
    """
    block = block if isinstance(block, Mapping) else {}
    return {
        key: None if block.get(key) is None else _checked(key, block[key])
        for key in KEYS
    }


def checked_metadata(
    meta: Mapping[str, Any], weights: Mapping[str, Tensor], branch: str
) -> dict[str, Any]:
    """The meta block of a backbone file with these weights, if it is right.

    Raises:
        CheckpointError: The file was changed, is of a later version, or has
            not the branch that is asked for.
    """
    if not isinstance(meta.get('version'), int) or meta['version'] > VERSION:
        raise CheckpointError(
            f'the file has version {meta.get("version")} of its format, this '
            f'sce_mm reads up to {VERSION}: update it'
        )
    if meta.get('sha256') != tensor_hash(weights):
        raise CheckpointError(
            'the tensors are not those that the file was written with (its '
            'hash says so): export it again from the training checkpoint'
        )
    texts = {'source': 'unknown', 'branch': 'online'}
    texts |= {k: _checked(k, meta[k]) for k in texts if k in meta}
    if branch not in ('online', texts['branch']):
        raise CheckpointError(
            f'the file holds the {texts["branch"]} branch alone, not the '
            f'{branch} one: export it from the training checkpoint'
        )
    assumed = meta.get('assumed')
    assumed = assumed if isinstance(assumed, list) else []
    return {
        **{key: meta[key] for key in ('format', 'version', 'sha256')},
        **texts,
        **metadata_of(meta),
        'assumed': [k for k in KEYS if k in assumed],
    }


def tensor_hash(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and values, in order of names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f'{name} {tensor.dtype} {list(tensor.shape)}\n'.encode())
        # A view as bytes: NumPy has no bfloat16.
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _checked(key: str, value: Any) -> Any:
    if length := {'mean': 3, 'std': 3, 'stretch': 2}.get(key):
        right = isinstance(value, list) and len(value) == length
        right = right and all(isinstance(v, int | float) for v in value)
    elif key in ('epochs', 'num_heads'):
        right = isinstance(value, int)
    elif key in _CHOICES:
        right = value in _CHOICES[key]
    else:
        right = isinstance(value, str) and bool(_NAME.fullmatch(value))
    if not right:
        raise CheckpointError(
            f'the file says {key}={value!r}, which it cannot be: it was not '
            'written by this project'
        )
    return value
