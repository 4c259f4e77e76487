"""A watch on every operation of torch."""

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

# Operations that hand a value of the device to the host.
READS = (
    '_local_scalar_dense',
    'nonzero',
    'is_nonzero',
    'equal',
    'masked_select',
)


class Watch(TorchDispatchMode):
    """Largest tensor that is made, and number of values the host reads.

    Attributes:
        largest: Elements of the largest tensor that was no argument before.
        reads: Names of the operations for which a host waits for its device.
    """

    def __init__(self) -> None:
        super().__init__()
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
        if name in READS or masks:
            self.reads.append(name)
        out = function(*args, **(kwargs or {}))
        known = {x.data_ptr() for x in args if isinstance(x, torch.Tensor)}
        for tensor in out if isinstance(out, tuple | list) else [out]:
            if (
                isinstance(tensor, torch.Tensor)
                and tensor.data_ptr() not in known
            ):
                self.largest = max(self.largest, tensor.numel())
        return out


class _Lists(TorchFunctionMode):
    """Notes where a list is an index.

    It becomes a tensor on the device of the other one, by a copy that the
    host waits for.
    """

    def __init__(self, reads: list[str]) -> None:
        super().__init__()
        self.reads = reads

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in (Tensor.__getitem__, Tensor.__setitem__):
            index = args[1] if isinstance(args[1], tuple) else args[1:2]
            self.reads += ['list' for x in index if isinstance(x, list)]
        return function(*args, **(kwargs or {}))
