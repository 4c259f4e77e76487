"""A watch on every operation of torch."""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

# Operations that hand a value of the device to the host.
READS = (
    '_local_scalar_dense',
    'nonzero',
    'is_nonzero',
    'equal',
    'masked_select',
)
COPIES = ('_to_copy', 'copy_')
INDEXING = ('index', 'index_put', 'index_put_')


class Watch(TorchDispatchMode):
    """Largest tensor that is made, and what makes the host wait.

    Beside a device other than the host (``meta`` will do) an operation on
    tensors of both raises, as it does on a GPU; numbers may come from the
    host.

    Args:
        device: Type of the device whose values count.

    Attributes:
        largest: Elements of the largest tensor that was no argument before.
        reads: Names of the operations for which a host waits for its device.
    """

    def __init__(self, device: str = 'cpu') -> None:
        super().__init__()
        self.device = device
        self.largest = 0
        self.reads: list[str] = []
        self._lists = _Lists(self.reads)

    def __enter__(self) -> 'Watch':
        self._lists.__enter__()
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._lists.__exit__(*error)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        # How many a mask picks is known on the device alone.
        masks = name == 'index' and any(
            x is not None and x.dtype is torch.bool for x in args[1]
        )
        kwargs = kwargs or {}
        tensors = _tensors_of(args, kwargs)
        if any(x.device.type == self.device for x in tensors) and (
            name in READS or masks
        ):
            self.reads.append(name)
        elif _crosses(name, tensors, args, kwargs):
            self.reads.append(f'{name} between devices')
        out = function(*args, **kwargs)
        known = {x.data_ptr() for x in args if isinstance(x, torch.Tensor)}
        for tensor in out if isinstance(out, tuple | list) else [out]:
            if (
                isinstance(tensor, torch.Tensor)
                and tensor.data_ptr() not in known
            ):
                self.largest = max(self.largest, tensor.numel())
        return out


def _tensors_of(args: tuple, kwargs: dict[str, Any]) -> list[Tensor]:
    leaves, _ = tree_flatten((args, kwargs))
    return [x for x in leaves if isinstance(x, Tensor)]


def _crosses(
    name: str, tensors: list[Tensor], args: tuple, kwargs: dict[str, Any]
) -> bool:
    """Whether the host waits for a copy from a device to another.

    Raises:
        RuntimeError: It is no copy, and its tensors are on two devices.
    """
    places = {x.device.type for x in tensors if x.ndim or name in COPIES}
    if name in COPIES and kwargs.get('device') is not None:
        places.add(kwargs['device'].type)
    if len(places) < 2:
        return False
    if name in INDEXING:
        return True  # An index on the host is copied first.
    if name not in COPIES:
        raise RuntimeError(f'{name}: tensors are on {sorted(places)}')
    return not (kwargs.get('non_blocking') or args[2:3] == (True,))


class _Lists(TorchFunctionMode):
    """Notes where a list is an index, or becomes a tensor of a device.

    It goes to the device by a copy that the host waits for.
    """

    def __init__(self, reads: list[str]) -> None:
        super().__init__()
        self.reads = reads

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in (Tensor.__getitem__, Tensor.__setitem__):
            index = args[1] if isinstance(args[1], tuple) else args[1:2]
            self.reads += ['list' for x in index if isinstance(x, list)]
        if function in (torch.tensor, torch.as_tensor):
            device = torch.device(kwargs.get('device') or 'cpu')
            self.reads += ['list'] * (device.type != 'cpu')
        return function(*args, **kwargs)
