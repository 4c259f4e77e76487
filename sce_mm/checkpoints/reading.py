"""Read checkpoint files without running what is in them."""

import contextlib
import json
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import nn

from ..utils.errors import MissingPackageError, import_optional
from .array_pickle import read_array_pickle, to_tensors
from .errors import CheckpointError, needs_trust
from .file_kind import PICKLE, SAFETENSORS, TORCH, kind_of

# Name of our meta block in the files of other programs.
META_KEY = 'sce_mm'
TYPES_CAN_BE_ALLOWED = hasattr(
    torch.serialization, 'get_unsafe_globals_in_checkpoint'
)

_trusted = False


def trust_checkpoints(trust: bool) -> None:
    """Set for this process what ``--trust`` says.

    That counts where :func:`read_checkpoint` gets no ``trust``, as in hooks.
    """
    global _trusted
    _trusted = trust


def read_checkpoint(
    path: str | Path, trust: bool | None = None
) -> dict[str, Any]:
    """Content of a checkpoint, on the CPU.

    Files of torch, safetensors, and pickles of NumPy arrays (detectron2) are
    known by their bytes. Tensors, plain types and the log buffers of
    mmengine are read; anything else that a pickle could name is refused, so
    that nothing in the file runs.

    Args:
        path: File to read.
        trust: Unpickle freely. Only for files of people that you would let
            run programs on this machine. None is what ``--trust`` of the
            command line says, see :func:`trust_checkpoints`.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: It is empty, cut short, not a checkpoint, may not be
            read, or needs trust.
    """
    path = Path(path)
    trust = _trusted if trust is None else trust
    try:
        content = READERS[kind_of(path)](path, trust)
    except (CheckpointError, MissingPackageError, FileNotFoundError):
        raise
    except OSError as error:
        if error.filename is None:  # a parser that went out of bounds
            raise CheckpointError(_damaged(path, error)) from error
        raise CheckpointError(
            f'{path} cannot be read: {error.strerror}'
        ) from error
    except ImportError as error:
        raise CheckpointError(
            f'{path} needs the package {error.name!r} to be read, as it '
            f'holds objects of it: pip install {error.name}'
        ) from error
    except Exception as error:
        # Whatever a parser trips over: bytes can be wrong in any way.
        raise CheckpointError(_damaged(path, error)) from error
    if not isinstance(content, dict):
        advice = ''
        if isinstance(content, nn.Module):
            advice = ': save model.state_dict()'
        raise CheckpointError(
            f'{path} holds a {type(content).__name__}, expected a dict of '
            f'tensors or one with a state_dict{advice}'
        )
    return content


def meta_of(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """The meta block, wherever the container has room for one.

    A flat file for torchvision has only the metadata that PyTorch keeps with
    the names of a state dict.
    """
    meta = checkpoint.get('meta')
    if not isinstance(meta, Mapping):
        metadata = getattr(checkpoint, '_metadata', None)
        meta = metadata.get(META_KEY) if isinstance(metadata, dict) else None
    return meta if isinstance(meta, Mapping) else {}


def _read_pickle(path: Path, trust: bool) -> Any:
    if not trust:
        return read_array_pickle(path)
    with path.open('rb') as file:
        return to_tensors(pickle.load(file, encoding='latin1'))


def _read_torch(path: Path, trust: bool) -> Any:
    try:
        with _mmengine_types():
            return torch.load(path, map_location='cpu', weights_only=not trust)
    except pickle.UnpicklingError as error:
        if trust or 'unexpected EOF' in str(error):
            raise  # damage, not a name that is refused
        asked = re.search(
            r'(?:GLOBAL|Unsupported class|but got) (<.+>|\S+)', str(error)
        )
        raise CheckpointError(
            needs_trust(path, asked[1] if asked else _first_line(error))
        ) from error


def _read_safetensors(path: Path, trust: bool) -> dict[str, Any]:
    safetensors = import_optional('safetensors', 'safetensors')
    with safetensors.safe_open(path, framework='pt') as file:
        names = file.keys()  # the file itself cannot be iterated over
        tensors = {name: file.get_tensor(name) for name in names}
        meta = (file.metadata() or {}).get(META_KEY, '{}')
    return {'state_dict': tensors, 'meta': json.loads(meta)}


READERS: dict[str, Callable[[Path, bool], Any]] = {
    TORCH: _read_torch,
    PICKLE: _read_pickle,
    SAFETENSORS: _read_safetensors,
}


def _mmengine_types() -> contextlib.AbstractContextManager:
    """Let through what mmengine puts into a training checkpoint.

    That is its log buffers and the NumPy arrays in them. Torch before 2.6
    cannot be told; there a training checkpoint needs trust.
    """
    if not TYPES_CAN_BE_ALLOWED:
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


def _damaged(path: Path, error: Exception) -> str:
    return (
        f'{path} is damaged or cut short ({_first_line(error)}): copy or '
        'download it again'
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
