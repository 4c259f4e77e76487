"""What one process decides for all of them."""

from collections.abc import Callable
from typing import Any, TypeVar

from mmengine.dist import broadcast_object_list, is_main_process

T = TypeVar('T')


def decide_on_main(function: Callable[[], T]) -> T:
    """Result of a function that only the main process calls.

    Its errors are raised on every process, so that none waits for another.
    """
    outcome: list[Any] = [None, None]
    if is_main_process():
        try:
            outcome = [function(), None]
        except (OSError, ValueError) as error:
            outcome = [None, error]
    broadcast_object_list(outcome)
    result, failure = outcome
    if failure is not None:
        raise failure
    return result
