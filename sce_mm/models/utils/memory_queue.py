"""The memory queue: a ring buffer of the keys of past steps."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ...utils.errors import UserError
from ...utils.progress import warn

# Attributes of an SCE that are queues.
QUEUES = ('queue', 'dense_queue')


def check_queue_length(
    length: int, option: str = 'model.queue.length', /, **factors: int
) -> None:
    """Refuse a queue that does not hold the keys of one optimiser step.

    Args:
        length: Number of keys that the queue holds.
        option: Where a user set it, for the message.
        **factors: Numbers whose product is the number of keys of a step,
            under the names that the message shows: ``images=64``.
    """
    keys = math.prod(factors.values())
    if keys > length:
        product = ' x '.join(
            f'{number} {name.replace("_", " ")}'
            for name, number in factors.items()
        )
        raise UserError(
            f'the queue holds {length} keys but one step brings {keys} '
            f'({product}): set {option} to as many or more (the paper '
            'keeps 8 to 16 steps of keys), or use a smaller batch'
        )


def fitting_length(samples: int, keys: int) -> int:
    """Length of a queue of which few samples meet their own older key.

    Half of an epoch in whole steps, and a step at least; 0 if one step has
    more keys than an epoch.

    >>> fitting_length(samples=1000, keys=64), fitting_length(50, 64)
    (448, 0)

    Args:
        samples: Keys that an epoch brings, one view of each sample.
        keys: Keys that a step brings.
    """
    length = max(keys, samples // 2 // keys * keys)
    return length if length <= samples else 0


class MemoryQueue(nn.Module):
    """Ring buffer of L2-normalised keys; new keys overwrite the oldest.

    >>> queue = MemoryQueue(length=3, dim=1)
    >>> queue.enqueue(torch.tensor([[1.0], [2.0]]))
    >>> queue.enqueue(torch.tensor([[3.0], [4.0]]))
    >>> queue.features.flatten().tolist(), int(queue.pointer)
    ([4.0, 2.0, 3.0], 1)

    All of its state is in persistent buffers, so that a checkpoint holds it.
    Positions are computed on the device: no step waits for the host, and a
    batch of any size wraps around the end. On several processes each one
    enqueues the keys of all in rank order, so the queues are equal without
    being broadcast.

    Args:
        length: Number of rows, K.
        dim: Width of a row, D.

    Attributes:
        features: ``[K, D]``; random unit vectors until written.
        pointer: Row that the next key goes to.
        filled: Number of rows that hold real keys.

    Raises:
        UserError: Length or width is not a positive integer.
    """

    features: Tensor
    pointer: Tensor
    filled: Tensor

    def __init__(self, length: int, dim: int) -> None:
        super().__init__()
        for name, value in (('length', length), ('dim', dim)):
            if not isinstance(value, int) or value < 1:
                raise UserError(
                    f'queue {name} must be a positive integer, got {value!r}'
                )
        self.length = length
        self.register_buffer(
            'features', normalize(torch.randn(length, dim), dim=1)
        )
        self.register_buffer('pointer', torch.zeros((), dtype=torch.long))
        self.register_buffer('filled', torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Write keys ``[M, D]``, at most K, behind the newest row."""
        count = len(keys)
        check_queue_length(self.length, keys=count)
        rows = torch.arange(count, device=self.features.device)
        rows = (rows + self.pointer) % self.length
        self.features.index_copy_(0, rows, keys.to(self.features.dtype))
        self.pointer.add_(count).remainder_(self.length)
        self.filled.add_(count).clamp_(max=self.length)

    def filled_share(self) -> Tensor:
        """Share of the rows that hold real keys, in [0, 1]."""
        return self.filled / self.length

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any
    ) -> None:
        """Load; a queue of another length keeps the newest of its rows."""
        saved = state_dict.get(f'{prefix}features')
        if (
            saved is not None
            and saved.shape[1:] == self.features.shape[1:]
            and len(saved) != self.length
        ):
            counts = (
                int(state_dict[prefix + x]) for x in ('pointer', 'filled')
            )
            resized = _resized(self.features, saved, *counts)
            state_dict = state_dict | {
                prefix + name: value for name, value in resized.items()
            }
        super()._load_from_state_dict(state_dict, prefix, *args)


def _resized(
    features: Tensor, saved: Tensor, pointer: int, filled: int
) -> dict[str, Tensor]:
    """State of a queue like ``features`` with the newest rows of another."""
    length = len(features)
    kept = min(filled, length)
    warn(
        f'the checkpoint has a queue of {len(saved)} keys and the model one '
        f'of {length}: the newest {kept} keys are kept',
    )
    features = features.detach().clone()
    features[:kept] = saved.roll(-pointer, dims=0)[len(saved) - kept :]
    return {
        'features': features,
        'pointer': torch.tensor(kept % length),
        'filled': torch.tensor(kept),
    }
