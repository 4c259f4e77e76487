"""The tensors of a checkpoint, whichever container holds them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .errors import CheckpointError

CONTAINERS = ('state_dict', 'model')
# Put before every name by DistributedDataParallel, averaged models, compile.
WRAPPERS = ('module.', '_orig_mod.')


def state_dict_of(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Tensors under the names of the model, without those of wrappers.

    Raises:
        CheckpointError: There are none, or some are not finite.
    """
    content: Any = checkpoint
    for key in CONTAINERS:
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    tensors = {
        k: v
        for k, v in content.items()
        if isinstance(v, Tensor) and isinstance(k, str)
    }
    if not tensors:
        raise CheckpointError(_nothing_found(content))
    for name, tensor in tensors.items():
        _check_memory(name, tensor)
        if not torch.isfinite(tensor).all():
            raise CheckpointError(
                f'{name} has values that are not finite: the training had '
                'broken down before this checkpoint; take an earlier one'
            )
    return _unwrapped(tensors)


def in_float32(
    tensors: Mapping[str, Tensor], convert: bool
) -> dict[str, Tensor]:
    """The same tensors, floating point ones in single precision.

    Args:
        tensors: Of a backbone.
        convert: Accept other precisions and convert them.

    Raises:
        CheckpointError: Some have another precision and ``convert`` is False.
    """
    others = {
        name: tensor
        for name, tensor in tensors.items()
        if tensor.is_floating_point() and tensor.dtype != torch.float32
    }
    if others and not convert:
        name, tensor = next(iter(others.items()))
        raise CheckpointError(
            f'{len(others)} tensors are not in single precision ({name} is '
            f'{str(tensor.dtype).removeprefix("torch.")}): half precision has '
            'lost digits that fine-tuning may miss. If that is known, '
            '--float32 converts them'
        )
    return dict(tensors) | {k: v.float() for k, v in others.items()}


def _check_memory(name: str, tensor: Tensor) -> None:
    """Refuse tensors that are not all there, before anything is computed.

    Raises:
        CheckpointError: It has no memory, or is larger than its memory.
    """
    if tensor.device.type != 'cpu' or tensor.layout != torch.strided:
        raise CheckpointError(
            f'{name} is a {tensor.layout} tensor on {tensor.device}: expected '
            'a plain one with its values in the file'
        )
    needed = tensor.numel() * tensor.element_size()
    if needed > tensor.untyped_storage().nbytes():
        raise CheckpointError(
            f'{name} has {tensor.numel()} values and the file only '
            f'{tensor.untyped_storage().nbytes()} bytes for them: no training '
            'writes that'
        )


def _unwrapped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    # A name without a dot is a counter of the wrapper itself.
    inner = {name: tensor for name, tensor in tensors.items() if '.' in name}
    for wrapper in WRAPPERS:
        if inner and all(name.startswith(wrapper) for name in inner):
            return _unwrapped(
                {n.removeprefix(wrapper): t for n, t in inner.items()}
            )
    return tensors


def _nothing_found(content: Mapping[str, Any]) -> str:
    keys = sorted(map(str, content))[:8]
    if 'param_groups' in content or keys == ['optimizer']:
        return (
            'this is the state of an optimizer, not of a network: name the '
            f'checkpoint of the training; it has {keys}'
        )
    return (
        'no tensors in the checkpoint: expected them under state_dict, '
        f'under model, or at the top; it has {keys}'
    )
