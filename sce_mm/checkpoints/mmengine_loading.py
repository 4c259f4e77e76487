"""Let mmengine load checkpoints without running what is in them.

mmengine unpickles freely what it cannot read otherwise, and on resuming runs
the text of the config that a checkpoint carries.
"""

import os
from pathlib import Path
from typing import Any

from mmengine.runner import CheckpointLoader

from .reading import TYPES_CAN_BE_ALLOWED, read_checkpoint, trust_checkpoints


def install_safe_loader(trust: bool = False) -> None:
    """Let all of mmengine read local checkpoints with our reader.

    That is what ``load_from``, ``resume`` and ``init_cfg`` name.

    Args:
        trust: Unpickle freely (``--trust``), also what the hooks of a config
            read.
    """
    trust_checkpoints(trust)
    CheckpointLoader.register_scheme('', _load, force=True)


def read_resumable(path: str | Path) -> dict[str, Any]:
    """Content of the training checkpoint from which a run resumes.

    Torch before 2.6 cannot be told which types a training checkpoint holds;
    there files are unpickled freely, as mmengine does it by itself.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: It is damaged, or needs ``--trust``.
    """
    return read_checkpoint(path, trust=None if TYPES_CAN_BE_ALLOWED else True)


def _load(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Content of a local checkpoint, on the CPU, without its config."""
    content = read_resumable(os.path.expanduser(filename))
    if isinstance(content.get('meta'), dict):
        content['meta'].pop('config', None)
    return content
