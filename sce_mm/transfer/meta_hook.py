"""What a detector must know of the weights, stored in each checkpoint."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch import nn

from ..models.utils import unwrapped


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
        model = unwrapped(runner.model)
        checkpoint['meta']['sce_mm'] = {
            **describe_backbone(model.backbone),
            **describe_input(model.data_preprocessor),
            'method': type(model).__name__,
            'epochs': checkpoint['meta'].get('epoch'),
        }


def describe_backbone(backbone: nn.Module) -> dict[str, str | None]:
    """Architecture and, for a ResNet, where it puts its strides."""
    depth = getattr(backbone, 'depth', None)
    name = type(backbone).__name__
    return {
        'arch': f'{name}-{depth}' if isinstance(depth, int) else name,
        'style': getattr(backbone, 'style', None),
    }


def describe_input(preprocessor: nn.Module) -> dict[str, Any]:
    """Order of channels, mean and std as the network gets its pixels.

    Images are read in the order of OpenCV, so a preprocessor that swaps the
    channels hands RGB on, and one that does not BGR.

    Returns:
        ``channel_order``, ``mean`` and ``std``; None where the preprocessor
        has no say.
    """
    facts: dict[str, Any] = dict.fromkeys(('channel_order', 'mean', 'std'))
    # The one of mmpretrain's classifiers has another name for it.
    swaps = getattr(
        preprocessor,
        '_channel_conversion',
        getattr(preprocessor, 'to_rgb', None),
    )
    if swaps is None:
        return facts
    facts['channel_order'] = 'rgb' if swaps else 'bgr'
    if preprocessor._enable_normalize:
        for name in ('mean', 'std'):
            values = getattr(preprocessor, name).flatten().tolist()
            facts[name] = [round(value, 4) for value in values]
    return facts
