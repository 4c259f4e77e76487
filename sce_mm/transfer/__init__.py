"""Weights on their way to another model."""

from .backbone import (
    extract_backbone,
    load_backbone,
    save_backbone,
    tensor_hash,
)
from .checkpoint import CheckpointError, read_checkpoint
from .meta_hook import TransferMetaHook

__all__ = [
    'CheckpointError',
    'TransferMetaHook',
    'extract_backbone',
    'load_backbone',
    'read_checkpoint',
    'save_backbone',
    'tensor_hash',
]
