"""Store architecture and pixel statistics in every checkpoint."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...checkpoints.reading import META_KEY
from ...config.parts import image_stretch
from ...transfer.metadata import describe_model
from ...utils.distributed import unwrapped


@HOOKS.register_module()
class TransferMetaHook(Hook):
    """Write architecture and pixel statistics into the checkpoint's meta.

    The levels that a ``stretch`` of the pipeline made black and white are
    there too. They are plain values under ``meta.sce_mm``, so that nobody has
    to run the config that is stored beside them to find out.
    """

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Add the block."""
        meta = checkpoint['meta']
        stretch = image_stretch(runner.cfg)
        meta[META_KEY] = {
            **describe_model(unwrapped(runner.model), meta.get('epoch')),
            'stretch': stretch and list(stretch),
        }
