"""Weights on their way to another model."""

from .backbone import (
    extract_backbone,
    load_backbone,
    save_backbone,
    tensor_hash,
)
from .checkpoint import read_checkpoint
from .errors import CheckpointError
from .meta_hook import TransferMetaHook
from .pixels import check_pixels
from .verify_hook import VerifyTransferHook

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
