"""Store architecture and pixel statistics in every checkpoint."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...checkpoints.reading import META_KEY
from ...transfer.metadata import describe_model
from ...utils.distributed import unwrapped


@HOOKS.register_module()
class TransferMetaHook(Hook):
    """Write architecture and pixel statistics into the checkpoint's meta.

    They are plain values under ``meta.sce_mm``, so that nobody has to run the
    config that is stored beside them to find out.
    """

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Add the block."""
        meta = checkpoint['meta']
        meta[META_KEY] = describe_model(
            unwrapped(runner.model), meta.get('epoch')
        )
