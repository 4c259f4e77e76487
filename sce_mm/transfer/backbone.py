"""Backbone files: bare names, and what a user of the weights must know.

A file is ``dict(state_dict=..., meta=...)`` and holds tensors and plain values
only, so that ``torch.load(path, weights_only=True)`` reads it anywhere.
"""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .checkpoint import CheckpointError, state_dict_of
from .compare import compare
from .formats import select

FORMAT = 'sce_mm.backbone'
VERSION = 1
# What the training stores, and what may be unknown in other checkpoints.
TRAINING_FACTS = (
    'arch',
    'method',
    'epochs',
    'channel_order',
    'mean',
    'std',
    'style',
)


def extract_backbone(
    checkpoint: Mapping[str, Any], branch: str = 'online'
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Backbone of any checkpoint that we know, and its meta block.

    Extracting from an extracted file gives the same again.

    Args:
        checkpoint: From :func:`read_checkpoint`.
        branch: ``'online'``, or ``'momentum'`` for the momentum encoder with
            the batch norm statistics of its own forward passes.

    Returns:
        Tensors under bare names, and the meta block: ``format``, ``version``,
        ``source`` (code base), ``branch``, ``sha256`` of the tensors, and
        ``arch``, ``method``, ``epochs``, ``channel_order`` (``'rgb'`` or
        ``'bgr'``), ``mean`` and ``std`` (of pixels from 0 to 255, in that
        order) and ``style``, None where the checkpoint does not say.

    Raises:
        CheckpointError: No backbone, no such branch, or values that are not
            finite.
    """
    own = checkpoint.get('meta')
    own = own if isinstance(own, Mapping) else {}
    found, backbone, _ = select(state_dict_of(checkpoint), branch)
    exported = own.get('format') == FORMAT
    facts = own if exported else own.get('sce_mm', {})
    meta = {
        'format': FORMAT,
        'version': VERSION,
        'source': own['source'] if exported else found.name,
        'branch': own['branch'] if exported else branch,
        'sha256': tensor_hash(backbone),
        **{name: facts.get(name) for name in TRAINING_FACTS},
    }
    if exported and own.get('sha256') != meta['sha256']:
        raise CheckpointError(
            'the tensors are not those that the file was written with (its '
            'hash says so): export it again from the training checkpoint'
        )
    return backbone, meta


def tensor_hash(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and values, in order of names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f'{name} {tensor.dtype} {list(tensor.shape)}\n'.encode())
        # A view as bytes: NumPy has no bfloat16.
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def save_backbone(
    path: str | Path,
    backbone: Mapping[str, Tensor],
    meta: Mapping[str, Any],
) -> None:
    """Write a backbone file; a reader never sees half of it.

    Args:
        path: Target.
        backbone: Tensors under bare names.
        meta: Meta block of :func:`extract_backbone`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        # Clones: a view would drag along the storage it is part of.
        'state_dict': {
            k: v.detach().cpu().clone() for k, v in backbone.items()
        },
        'meta': dict(meta),
    }
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
    path.chmod(0o644)


def load_backbone(
    module: nn.Module,
    backbone: Mapping[str, Tensor],
    meta: Mapping[str, Any] | None = None,
) -> None:
    """Load a backbone; every tensor on both sides has to match.

    Args:
        module: Takes the weights.
        backbone: Tensors under bare names.
        meta: Meta block, for the message.

    Raises:
        CheckpointError: A tensor is missing, left over or of another shape.
    """
    difference = compare(module.state_dict(), backbone)
    if difference:
        source = (meta or {}).get('source', 'the checkpoint')
        raise CheckpointError(
            f'the backbone from {source} does not fit '
            f'{type(module).__name__}:\n{difference}'
        )
    module.load_state_dict(dict(backbone), strict=True)
