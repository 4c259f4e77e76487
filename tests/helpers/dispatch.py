"""A watch on every operation of torch."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# Operations that hand a value of the device to the host.
READS = ('_local_scalar_dense', 'nonzero', 'is_nonzero', 'equal')


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

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        if name in READS:
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
