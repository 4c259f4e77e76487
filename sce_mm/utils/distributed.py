"""Share decisions and work among processes; unwrap a distributed model."""

import pickle
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from mmengine.dist import (
    all_gather_object,
    broadcast_object_list,
    get_dist_info,
    is_main_process,
)
from mmengine.model import is_model_wrapper
from torch import nn

from .errors import UserError
from .progress import track
from .text import counted, listed

Item = TypeVar('Item')
Result = TypeVar('Result')


def decide_on_main(function: Callable[[], Result]) -> Result:
    """Result of a function that only the main process calls.

    Its errors are raised on every process, so that none waits for another.
    One that cannot be sent is a RuntimeError with its text on the others.
    """
    outcome: list[Any] = [None, None]
    failure: Exception | None = None
    if is_main_process():
        try:
            outcome[0] = function()
        except Exception as error:
            failure, outcome[1] = error, _sendable(error)
    broadcast_object_list(outcome)
    if outcome[1] is not None:
        raise failure or outcome[1]
    return outcome[0]


def _sendable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f'{type(error).__name__}: {error}')
    return error


def require_equal(value: Any, what: str) -> None:
    """Check that all processes have the same value; all of them raise.

    Args:
        value: Value that can be pickled.
        what: What it is, for the message.

    Raises:
        UserError: Processes have others, as on machines whose file systems
            differ.
    """
    values = all_gather_object(value)
    if other := [str(n) for n, v in enumerate(values) if v != values[0]]:
        raise UserError(
            f'{what} is not the same on all processes: that of '
            f'{counted(len(other), "process", "processes")} (rank '
            f'{listed(other)}) is another one than that of the first. Give '
            'all machines the same file'
        )


def map_distributed(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    description: str | None = None,
) -> list[Result]:
    """``[function(x) for x in items]``, each process doing its share.

    All results in the order of the items, on all processes. A result can be
    pickled and depends on nothing but its item, so that the number of
    processes does not count; ``description`` shows how much is done.
    """
    rank, world_size = get_dist_info()
    share = items[rank::world_size]
    shown = track(share, description) if description else share
    shares = all_gather_object([function(item) for item in shown])
    return [shares[i % world_size][i // world_size] for i in range(len(items))]


def unwrapped(model: nn.Module) -> Any:
    """The model itself, whether it is wrapped (``runner.model``) or not."""
    return model.module if is_model_wrapper(model) else model
