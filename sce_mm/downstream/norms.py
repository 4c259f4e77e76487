"""Give trained norms to the parts of a config that start at random."""

from typing import Any

from ..config.parts import type_name
from .edits import ConfigEdits
from .part_classes import setting_of

SYNC_BN = {'type': 'SyncBN', 'requires_grad': True}
# mmcv's own synchronised norm cannot be built outside of a distributed run.
_BATCH_NORMS = ('BN', 'SyncBN', 'MMSyncBN')


def give_norm(
    edits: ConfigEdits,
    path: str,
    reason: str,
    norm_cfg: dict[str, Any] = SYNC_BN,
) -> None:
    """Set a norm where there is none, or one that is not trained.

    The eps and momentum of one that there is stay.
    """
    old = setting_of(edits.get(path), 'norm_cfg')
    if old is not None:
        if type_name(old) not in _BATCH_NORMS:
            return
        if norm_cfg == SYNC_BN:
            reason = 'batch norm trained, over all GPUs, and also without any'
            norm_cfg = {**old, **norm_cfg}
    edits.set(f'{path}.norm_cfg', norm_cfg, reason)
