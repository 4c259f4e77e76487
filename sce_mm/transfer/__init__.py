"""Weights on their way to another model."""

from ..checkpoints.errors import CheckpointError
from ..checkpoints.reading import read_checkpoint
from ..engine.hooks.verify_transfer_hook import VerifyTransferHook
from .backbone import (
    extract_backbone,
    load_backbone,
    save_backbone,
    tensor_hash,
)
from .describe import TransferMetaHook, check_pixels

__all__ = [
    'CheckpointError',
    'TransferMetaHook',
    'VerifyTransferHook',
    'check_pixels',
    'extract_backbone',
    'load_backbone',
    'read_checkpoint',
    'save_backbone',
    'tensor_hash',
]
