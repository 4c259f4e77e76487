"""Hours, batches and several GPUs: the arithmetic of the estimate.

Pure functions of numbers. Seconds, bytes and images; bandwidth in bytes a
second. Collectives are taken to run in a ring: of n processes each sends its
part to its neighbour n - 1 times (twice as often where sums go round and come
back), and every time costs the latency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FLOAT = 4  # Bytes of a float32.


@dataclass(frozen=True)
class Network:
    """What connects the processes.

    Args:
        bandwidth: Bytes a second that each process sends.
        latency: Seconds of a message of no length.
        overlap: Share of the backward pass during which gradients can travel;
            0 if they are sent after it.

    Raises:
        ValueError: A number is out of its range.
    """

    bandwidth: float
    latency: float
    overlap: float

    def __post_init__(self) -> None:
        if self.bandwidth <= 0:
            raise ValueError(
                f'the bandwidth must be above 0, got {self.bandwidth}'
            )
        if self.latency < 0:
            raise ValueError(
                f'the latency must not be negative, got {self.latency}'
            )
        if not 0 <= self.overlap <= 1:
            raise ValueError(
                'the overlap is a share of the backward pass, from 0 to 1, '
                f'got {self.overlap}'
            )


@dataclass(frozen=True)
class Traffic:
    """What a process of a distributed run sends in a step.

    Args:
        gradients: Bytes of all gradients.
        keys: Bytes of the keys of one process.
        images: Bytes of the images that one process gives away for shuffled
            batch norm; 0 without it.
        online_norms: Channels of each synchronised batch norm of the online
            branch, once for each view that goes through it.
        target_norms: The same for the momentum branch.
    """

    gradients: int
    keys: int
    images: int = 0
    online_norms: Sequence[int] = ()
    target_norms: Sequence[int] = ()


def hours(images: int, epochs: float, images_per_second: float) -> float:
    """Hours of a schedule."""
    return images * epochs / images_per_second / 3600


def largest_batch(
    memory: float, fixed: float, per_image: float, multiple: int = 1
) -> int:
    """The largest batch of which a process fits into memory.

    Args:
        memory: Bytes that may be used.
        fixed: Bytes that do not depend on the batch.
        per_image: Bytes that each image of the batch adds.
        multiple: The batch is a multiple of this.

    Returns:
        Images; 0 if not even one multiple fits.
    """
    images = max(0, int((memory - fixed) // per_image))
    return images - images % multiple


def all_reduce_seconds(nbytes: int, n: int, network: Network) -> float:
    """Sum a tensor of so many bytes over n processes."""
    return 2 * _rounds(nbytes / n, n, network)


def all_gather_seconds(nbytes: int, n: int, network: Network) -> float:
    """Give each of n processes the tensors of all, each of so many bytes."""
    return _rounds(nbytes, n, network)


def _rounds(nbytes: float, n: int, network: Network) -> float:
    return (n - 1) * (nbytes / network.bandwidth + network.latency)


def communication(
    traffic: Traffic, n: int, backward: float, network: Network
) -> dict[str, float]:
    """Seconds that communication adds to a step, by what is sent.

    Args:
        traffic: What a process sends.
        n: Processes.
        backward: Seconds of the backward pass.
        network: What connects them.

    Returns:
        ``gradients`` is what the backward pass does not hide. A synchronised
        norm gathers mean, variance and count in the forward pass and sums two
        gradients in the backward pass, which the momentum branch has not.
    """
    reduce = all_reduce_seconds(traffic.gradients, n, network)
    norms = [*traffic.online_norms, *traffic.target_norms]
    return {
        'gradients': max(0.0, reduce - network.overlap * backward),
        'keys': all_gather_seconds(traffic.keys, n, network),
        'shuffled images': all_gather_seconds(traffic.images, n, network)
        if traffic.images
        else 0.0,
        'batch norm': sum(
            all_gather_seconds((2 * c + 1) * FLOAT, n, network) for c in norms
        )
        + sum(
            all_reduce_seconds(2 * c * FLOAT, n, network)
            for c in traffic.online_norms
        ),
    }
