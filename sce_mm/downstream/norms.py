"""Give trained norms to the parts of a config that start at random."""

from collections.abc import Iterator
from typing import Any

from .backbone import SYNC_BN
from .edits import ConfigEdits, type_name

# mmcv's own synchronised norm cannot be built outside of a distributed run.
BATCH_NORMS = ('BN', 'SyncBN', 'MMSyncBN')
PYRAMIDS = ('FPN', 'PAFPN')


def adapt_pyramids(edits: ConfigEdits) -> None:
    """Give a norm to feature pyramids without one.

    The scale of self-supervised features is not that of supervised ones, for
    which those parts were tuned; convolutions with random weights need a norm
    between them. Parts that have a norm keep it, and parts of types not
    named here are left as they are.
    """
    for path, neck in parts_at(edits, 'model.neck'):
        if type_name(neck) in PYRAMIDS:
            reason = 'lateral and output convolutions start at random'
            give_norm(edits, path, reason)


def parts_at(edits: ConfigEdits, path: str) -> Iterator[tuple[str, Any]]:
    """A part, or each of a list of parts, with its path."""
    value = edits.get(path)
    if isinstance(value, list | tuple):
        yield from ((f'{path}[{i}]', part) for i, part in enumerate(value))
    elif value is not None:
        yield path, value


def give_norm(
    edits: ConfigEdits,
    path: str,
    reason: str,
    norm_cfg: dict[str, Any] = SYNC_BN,
) -> None:
    """Set a norm where there is none, or one that is not trained."""
    old = edits.get(f'{path}.norm_cfg')
    if old is not None:
        if type_name(old) not in BATCH_NORMS:
            return
        reason = 'batch norm trained, over all GPUs, and also without any'
    edits.set(f'{path}.norm_cfg', norm_cfg, reason)
