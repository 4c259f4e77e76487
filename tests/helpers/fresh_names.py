"""Let commands that run in one process have a Runner each.

A process of a user has one. mmengine names what belongs to it by the second,
so the next within a second would write to the folder of the first.
"""

from mmengine.logging import MessageHub, MMLogger
from mmengine.visualization import Visualizer


def forget_runners():
    """Close the logs of all Runners, and forget their names."""
    for logger in MMLogger._instance_dict.values():
        for handler in logger.handlers:
            handler.close()
    for kind in (MMLogger, MessageHub, Visualizer):
        _forget(kind)


def _forget(kind):
    kind._instance_dict.clear()
    for each in kind.__subclasses__():
        _forget(each)
