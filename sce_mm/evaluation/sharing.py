"""Independent pieces of work, divided among the processes."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from mmengine.dist import all_gather_object, get_dist_info

Item = TypeVar('Item')
Result = TypeVar('Result')


def map_shared(
    function: Callable[[Item], Result], items: Sequence[Item]
) -> list[Result]:
    """``[function(x) for x in items]``, each process doing its share.

    Args:
        function: Its result can be pickled and depends on nothing but the
            item, so that the number of processes does not count.
        items: Equal on all processes.

    Returns:
        All results in the order of the items, on all processes.
    """
    rank, world_size = get_dist_info()
    own = [function(item) for item in items[rank::world_size]]
    shares = all_gather_object(own)
    return [shares[i % world_size][i // world_size] for i in range(len(items))]
