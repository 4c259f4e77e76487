"""Backbone files: bare names, and what a user of the weights must know.

A file is ``dict(state_dict=..., meta=...)`` and holds tensors and plain values
only, so that ``torch.load(path, weights_only=True)`` reads it anywhere.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoints.compare import compare
from ..checkpoints.durable_files import replace_durably
from ..checkpoints.errors import EXTRACT, CheckpointError
from ..checkpoints.reading import META_KEY, meta_of
from ..checkpoints.state_dicts import in_float32, state_dict_of
from .formats import OWN, bare_names, select
from .meta import facts_of, name_of
from .resnet import complete

FORMAT = 'sce_mm.backbone'
VERSION = 1
# Whose forward passes the statistics of batch norm are from.
OWN_PASSES = 'its own forward passes'


def extract_backbone(
    checkpoint: Mapping[str, Any],
    branch: str = 'online',
    float32: bool = False,
    mixed: bool = False,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Backbone of any checkpoint that we know, and its meta block.

    Extracting from an extracted file gives the same again. What other code
    bases made has to be a whole ResNet; from our own training any
    architecture is taken.

    Args:
        checkpoint: From :func:`read_checkpoint`.
        branch: ``'online'``, or ``'momentum'`` for the momentum encoder with
            the batch norm statistics of its own forward passes.
        float32: Convert tensors of another precision instead of refusing.
        mixed: Accept parameters of one branch with the statistics of
            another; the caller has to measure them anew.

    Returns:
        Tensors under bare names, and the meta block: ``format``, ``version``,
        ``source`` (code base), ``branch``, ``statistics`` (of batch norm),
        ``sha256`` of the tensors, and ``arch``, ``method``, ``epochs``,
        ``channel_order`` (``'rgb'`` or ``'bgr'``), ``mean`` and ``std`` (of
        pixels from 0 to 255, in that order) and ``style``, None where it is
        not known; ``assumed`` names those that the checkpoint does not say
        but the code base is known for.

    Raises:
        CheckpointError: No whole backbone, no such branch, statistics of
            another branch, values that are not finite or another precision.
    """
    own = meta_of(checkpoint)
    tensors = state_dict_of(checkpoint)
    if own.get('format') == FORMAT:
        backbone = in_float32(bare_names(tensors), float32)
        return backbone, _checked(own, backbone, branch)
    found, backbone = select(tensors, branch)
    backbone = in_float32(backbone, float32)
    if branch in found.mixed and not mixed:
        raise CheckpointError(
            f'the momentum branch of {found.name} has the batch norm '
            'statistics of the online branch, which do not belong to its '
            f'weights: to {EXTRACT} --branch momentum add --recalibrate DIR '
            'with images like those of the training, or take the online one'
        )
    facts = facts_of(own.get(META_KEY))
    assumed = {}
    if found.name != OWN or _is_resnet(facts['arch'], backbone):
        backbone, architecture = complete(backbone)
        assumed['arch'] = architecture.name
        if architecture.kernel == 7:
            assumed |= found.facts
    assumed = {k: v for k, v in assumed.items() if facts[k] is None}
    return backbone, {
        'format': FORMAT,
        'version': VERSION,
        'source': found.name,
        'branch': branch,
        'statistics': OWN_PASSES,
        'sha256': tensor_hash(backbone),
        **facts,
        **assumed,
        'assumed': sorted(set(assumed) - {'arch'}),
    }


def _is_resnet(arch: str | None, backbone: Mapping[str, Tensor]) -> bool:
    """Whether a network of our own training is one that can be checked."""
    if arch is None:
        return {'conv1.weight', 'layer1.0.conv1.weight'} <= set(backbone)
    return arch.startswith(('ResNet-', 'ResNet_CIFAR-'))


def _checked(
    meta: Mapping[str, Any], backbone: Mapping[str, Tensor], branch: str
) -> dict[str, Any]:
    """Meta block of a file of ours, which has one branch.

    Raises:
        CheckpointError: The file has been changed, or is of a later version.
    """
    if not isinstance(meta.get('version'), int) or meta['version'] > VERSION:
        raise CheckpointError(
            f'the file has version {meta.get("version")} of its format, this '
            f'sce_mm reads up to {VERSION}: update it'
        )
    if meta.get('sha256') != tensor_hash(backbone):
        raise CheckpointError(
            'the tensors are not those that the file was written with (its '
            'hash says so): export it again from the training checkpoint'
        )
    texts = {'source': 'unknown', 'branch': 'online', 'statistics': OWN_PASSES}
    texts |= {k: name_of(k, meta[k]) for k in texts if k in meta}
    if branch not in ('online', texts['branch']):
        raise CheckpointError(
            f'the file holds the {texts["branch"]} branch alone, not the '
            f'{branch} one: export it from the training checkpoint'
        )
    known = {k: meta[k] for k in ('format', 'version', 'sha256')}
    facts = facts_of(meta)
    assumed = meta.get('assumed')
    names = assumed if isinstance(assumed, list) else []
    return {
        **known,
        **texts,
        **facts,
        'assumed': [k for k in names if k in facts],
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

    Raises:
        WriteError: The disk is full or the folder is read-only.
    """
    content = {
        # Clones: a view would drag along the storage it is part of.
        'state_dict': {
            k: v.detach().cpu().clone() for k, v in backbone.items()
        },
        'meta': dict(meta),
    }
    replace_durably(path, lambda file: torch.save(content, file))


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
