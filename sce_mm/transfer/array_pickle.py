"""Pickles of NumPy arrays, as detectron2 keeps its models, read safely.

A pickle is a program. This reader knows the few functions by which NumPy
rebuilds arrays and refuses every other name before it is looked up, so that
nothing is imported or called.
"""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .errors import CheckpointError


def read_array_pickle(path: Path) -> dict[str, Any]:
    """Content of a pickle, its arrays as tensors.

    Args:
        path: Pickle of a dict.

    Raises:
        CheckpointError: It is damaged, or names anything but arrays.
    """
    try:
        with path.open('rb') as file:
            content = ArrayUnpickler(file, encoding='latin1').load()
    except ForbiddenNameError as error:
        raise CheckpointError(
            f'{path} holds more than tensors and plain values, and reading '
            'that could run any program. If you trust its origin, pass '
            f'--trust. What it asks for: {error}'
        ) from error
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        TypeError,
        IndexError,
        KeyError,
        AttributeError,
        MemoryError,
        OverflowError,
        UnicodeDecodeError,
    ) as error:
        raise CheckpointError(
            f'{path} is damaged or cut short ({error}): copy or download it '
            'again'
        ) from error
    return to_tensors(content)


class ForbiddenNameError(pickle.UnpicklingError):
    """A pickle names what is not needed to rebuild an array."""


class ArrayUnpickler(pickle.Unpickler):
    """Rebuilds dicts, lists, plain values and NumPy arrays, nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """One of the functions of NumPy, whatever its version calls it."""
        module = module.replace('numpy._core', 'numpy.core')
        # Bound methods: a pickle can set no attribute on them.
        allowed: dict[tuple[str, str], Callable[..., Any]] = {
            ('numpy', 'ndarray'): np.ndarray,
            ('numpy', 'dtype'): self.dtype,
            ('numpy.core.multiarray', '_reconstruct'): self.reconstruct,
            ('numpy.core.multiarray', 'scalar'): self.scalar,
            ('numpy.core.numeric', '_frombuffer'): self.from_buffer,
            ('collections', 'OrderedDict'): dict,
            ('_codecs', 'encode'): self.encode,
        }
        if (module, name) not in allowed:
            raise ForbiddenNameError(f'{module}.{name}')
        return allowed[module, name]

    def dtype(self, kind: Any, *options: Any) -> np.dtype:
        """A type of numbers."""
        dtype = np.dtype(kind, *options)
        if dtype.kind not in 'fiub':
            raise ForbiddenNameError(f'an array of type {dtype}')
        return dtype

    def reconstruct(self, cls: Any, shape: Any, kind: Any) -> np.ndarray:
        """An empty array that its state fills."""
        if cls is not np.ndarray:
            raise ForbiddenNameError(f'an array of class {cls}')
        return np.empty(0, np.uint8)

    def scalar(self, dtype: np.dtype, value: bytes) -> Any:
        """A single number."""
        return np.frombuffer(value, dtype)[0]

    def from_buffer(
        self, buffer: bytes, dtype: np.dtype, shape: Any, order: Any
    ) -> np.ndarray:
        """An array of protocol 5."""
        return np.frombuffer(buffer, dtype).reshape(shape, order=order)

    def encode(self, text: str, encoding: str) -> bytes:
        """Bytes as protocol 2 writes them."""
        if encoding != 'latin1':
            raise ForbiddenNameError(f'encoding {encoding}')
        return text.encode('latin1')


def to_tensors(node: Any) -> Any:
    """The same with tensors of their own memory in place of arrays."""
    if isinstance(node, dict):
        return {key: to_tensors(value) for key, value in node.items()}
    if isinstance(node, np.ndarray | np.generic):
        return torch.from_numpy(np.array(node))
    return node
