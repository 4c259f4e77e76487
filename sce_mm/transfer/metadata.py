"""The meta block of a backbone file, and the checks of what it says."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..checkpoints.errors import CheckpointError

FORMAT = 'sce_mm.backbone'
VERSION = 1

# What a training stores. Each may be unknown in checkpoints of others.
KEYS = ('arch', 'method', 'epochs', 'channel_order', 'mean', 'std', 'style')
_CHOICES = {'channel_order': ('rgb', 'bgr'), 'style': ('pytorch', 'caffe')}
# These are written into configs and logs: no quotes, no line breaks.
_NAME = re.compile(r'[\w .,:+()/@-]{1,100}', re.ASCII)


def metadata_of(block: Any) -> dict[str, Any]:
    """The metadata of a block, None for what it does not say.

    Args:
        block: ``meta`` of a backbone file, or ``meta.sce_mm`` of a training
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
    """The meta block of a backbone file, whose weights are unchanged.

    Args:
        meta: Meta block as it was read.
        weights: Tensors of the file, under bare names.
        branch: Branch that is asked for; the file has one.

    Raises:
        CheckpointError: The file was changed, is of a later version, or has
            another branch.
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
    return {
        **{key: meta[key] for key in ('format', 'version', 'sha256')},
        **texts,
        **metadata_of(meta),
        'assumed': [k for k in KEYS if k in assumed]
        if isinstance(assumed, list)
        else [],
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
    if key in ('mean', 'std'):
        right = (
            isinstance(value, list)
            and len(value) == 3
            and all(isinstance(v, int | float) for v in value)
        )
    elif key == 'epochs':
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
