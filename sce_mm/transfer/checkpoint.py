"""Reading checkpoint files without running what is in them."""

import contextlib
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor


class CheckpointError(ValueError):
    """A file is not the checkpoint that was asked for."""


def read_checkpoint(path: str | Path, trust: bool = False) -> dict[str, Any]:
    """Content of a checkpoint, on the CPU.

    Tensors, plain types and the log buffers of mmengine are read; anything
    else that a pickle could name is refused, so that nothing in the file runs.

    Args:
        path: File.
        trust: Unpickle freely. Only for files of people that you would let
            run programs on this machine.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: It is empty, cut short, not a checkpoint, or needs
            trust.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'no checkpoint at {path}')
    if path.stat().st_size == 0:
        raise CheckpointError(f'{path} is empty: copy or download it again')
    try:
        with _mmengine_types():
            content = torch.load(
                path, map_location='cpu', weights_only=not trust
            )
    except pickle.UnpicklingError as error:
        if _looks_like_text(path):
            raise CheckpointError(
                f'{path} is not a checkpoint but text or a web page'
            ) from error
        raise CheckpointError(
            f'{path} holds more than tensors and plain values, and reading '
            'that could run any program. If you trust its origin, pass '
            f'--trust. What it asks for: {_first_line(error)}'
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f'{path} is damaged or cut short ({_first_line(error)}): copy or '
            'download it again'
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f'{path} holds a {type(content).__name__}, expected a dict of '
            'tensors or one with a state_dict'
        )
    return content


def state_dict_of(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a checkpoint, whichever key holds them.

    Raises:
        CheckpointError: There are none, or some are not finite.
    """
    content: Any = checkpoint
    for key in ('state_dict', 'model'):
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    tensors = {k: v for k, v in content.items() if isinstance(v, Tensor)}
    if not tensors:
        raise CheckpointError(
            'no tensors in the checkpoint: expected them under state_dict, '
            f'under model, or at the top; it has {sorted(content)[:8]}'
        )
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(
                f'{name} has values that are not finite: the training had '
                'broken down before this checkpoint; take an earlier one'
            )
    return tensors


def _mmengine_types() -> contextlib.AbstractContextManager:
    """Let through what mmengine puts into a training checkpoint.

    That is its log buffers and the NumPy arrays in them. Torch before 2.6
    cannot be told; there a training checkpoint needs trust.
    """
    if not hasattr(torch.serialization, 'get_unsafe_globals_in_checkpoint'):
        return contextlib.nullcontext()
    functions = {
        '_reconstruct': np.empty(0).__reduce__()[0],
        'scalar': np.float64(0).__reduce__()[0],
    }
    allowed: list[Any] = [
        HistoryBuffer,
        # A buffer names its methods by attribute access.
        (_method_of_history_buffer, 'builtins.getattr'),
        np.ndarray,
        np.dtype,
        *{type(np.dtype(kind)) for kind in 'fdilq?'},
        # The module has another name in NumPy 1 and 2.
        *(
            (function, f'numpy.{core}.multiarray.{name}')
            for name, function in functions.items()
            for core in ('core', '_core')
        ),
    ]
    return torch.serialization.safe_globals(allowed)


def _method_of_history_buffer(owner: Any, name: str) -> Any:
    if owner is HistoryBuffer and name in ('mean', 'max', 'min', 'current'):
        return getattr(owner, name)
    raise pickle.UnpicklingError(f'attribute {name!r} of {owner!r}')


def _looks_like_text(path: Path) -> bool:
    if zipfile.is_zipfile(path):
        return False
    with path.open('rb') as file:
        start = file.read(256)
    return all(32 <= byte < 127 or byte in b'\r\n\t' for byte in start)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
