"""Independent pieces of work, divided among the processes."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from mmengine.dist import all_gather_object, get_dist_info

from ..progress import track

Item = TypeVar('Item')
Result = TypeVar('Result')


def map_shared(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    description: str | None = None,
) -> list[Result]:
    """``[function(x) for x in items]``, each process doing its share.

    Args:
        function: Its result can be pickled and depends on nothing but the
            item, so that the number of processes does not count.
        items: Equal on all processes.
        description: Of the work, to show how much is done; None if the
            function shows that itself.

    Returns:
        All results in the order of the items, on all processes.
    """
    rank, world_size = get_dist_info()
    share = items[rank::world_size]
    own = [
        function(item)
        for item in (track(share, description) if description else share)
    ]
    shares = all_gather_object(own)
    return [shares[i % world_size][i // world_size] for i in range(len(items))]
