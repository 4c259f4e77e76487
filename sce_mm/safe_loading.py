"""Checkpoints that mmengine loads, read without running what is in them.

mmengine unpickles freely what it cannot read otherwise, and on resuming runs
the text of the config that a checkpoint carries.
"""

import os
from typing import Any

from mmengine.runner import CheckpointLoader

from .transfer.checkpoint import read_resumable


def guard_checkpoints() -> None:
    """Read local checkpoints with our reader from now on, in all of mmengine.

    That is what ``load_from``, ``resume`` and ``init_cfg`` name. Torch before
    2.6 cannot tell the types of a training checkpoint apart; there files are
    still unpickled freely, see :func:`~sce_mm.transfer.checkpoint.
    read_resumable`.
    """
    CheckpointLoader.register_scheme('', load_from_plain_file, force=True)


def load_from_plain_file(
    filename: str, map_location: Any = None
) -> dict[str, Any]:
    """Content of a local checkpoint, on the CPU, without its config.

    Args:
        filename: Path; ``~`` is the home folder.
        map_location: Not used: loading into a model moves what it takes.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: See :func:`~sce_mm.transfer.read_checkpoint`.
    """
    content = read_resumable(os.path.expanduser(filename))
    if isinstance(content.get('meta'), dict):
        content['meta'].pop('config', None)
    return content
