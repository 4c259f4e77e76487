"""Read pickles of NumPy arrays safely, as detectron2 keeps its models.

A pickle is a program. This reader knows the few functions by which NumPy
rebuilds arrays and refuses every other name before it is looked up, so that
nothing is imported or called.
"""

import os
import pickle
import pickletools
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from ..utils.errors import UserError
from .errors import CheckpointError, needs_trust


def read_array_pickle(path: Path) -> dict[str, Any]:
    """Content of a pickle, its arrays as tensors.

    Raises:
        CheckpointError: It names anything but arrays.
        Exception: The file is damaged; any kind of exception.
    """
    try:
        with path.open('rb') as file:
            _check_memo(file)
            content = ArrayUnpickler(file, encoding='latin1').load()
    except ForbiddenNameError as error:
        raise CheckpointError(needs_trust(path, str(error))) from error
    return to_tensors(content)


def _check_memo(file: IO[bytes]) -> None:
    """Refuse a memo that could not fit into the file.

    The unpickler makes room for the largest index before it goes on, so that
    a few bytes could ask for all memory.
    """
    size = os.fstat(file.fileno()).st_size
    for opcode, argument, _ in pickletools.genops(file):
        if 'PUT' in opcode.name and (argument or 0) > size:
            raise UserError(f'memo index {argument} in {size} bytes')
    file.seek(0)


NDARRAY = object()


class ForbiddenNameError(pickle.UnpicklingError):
    """A pickle names what is not needed to rebuild an array."""


class ArrayUnpickler(pickle.Unpickler):
    """Rebuilds dicts, lists, plain values and NumPy arrays, nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """One of the functions of NumPy, whatever its version calls it."""
        module = module.replace('numpy._core', 'numpy.core')
        # Bound methods: a pickle can set no attribute on them.
        allowed: dict[tuple[str, str], object] = {
            # A mark for `reconstruct`; the class itself makes arrays of any
            # size when it is called.
            ('numpy', 'ndarray'): NDARRAY,
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
        if cls is not NDARRAY:
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


def to_tensors(node: Any, depth: int = 2) -> Any:
    """The same with tensors in place of arrays, in so many levels of dicts."""
    if isinstance(node, dict) and depth:
        return {k: to_tensors(v, depth - 1) for k, v in node.items()}
    if isinstance(node, np.ndarray | np.generic):
        return torch.from_numpy(np.array(node))
    return node
