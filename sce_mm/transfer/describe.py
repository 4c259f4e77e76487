"""What a detector must know of the weights, stored in each checkpoint."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..utils.distributed import unwrapped

BATCH, STORED = 'statistics of the batch', 'stored statistics'
# What mmengine makes of SyncBN where there is but one process.
NAMES = {'_BatchNormXd': 'SyncBN (BN in one process)'}


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


def norm_modes(parts: Mapping[str, nn.Module]) -> dict[str, int]:
    """Batch norm layers, counted by kind and present mode."""
    modes: Counter[str] = Counter()
    for part in parts.values():
        for module in part.modules():
            if isinstance(module, _BatchNorm):
                mode = BATCH if module.training else STORED
                name = type(module).__name__
                modes[f'{NAMES.get(name, name)}, {mode}'] += 1
    return dict(modes)


def stride_style(parts: Mapping[str, nn.Module]) -> str | None:
    """Where bottlenecks have their strides.

    Returns:
        ``'pytorch'`` (3 x 3), ``'caffe'`` (1 x 1), ``'mixed'`` if the parts
        differ; without strided bottlenecks what the backbone says.
    """
    styles = set()
    for part in parts.values():
        for module in part.modules():
            convs = dict(module.named_children())
            if {'conv1', 'conv2', 'conv3'} <= set(convs):
                strides = [
                    getattr(convs[name], 'stride', 1)
                    for name in ('conv1', 'conv2')
                ]
                if strides[0] in (2, (2, 2)):
                    styles.add('caffe')
                if strides[1] in (2, (2, 2)):
                    styles.add('pytorch')
    if not styles:
        return describe_backbone(parts['backbone'])['style']
    return styles.pop() if len(styles) == 1 else 'mixed'


def check_pixels(
    meta: Mapping[str, Any], preprocessor: nn.Module, path: str
) -> None:
    """See that the images come as those that the weights were trained on.

    Args:
        meta: Of :func:`~sce_mm.transfer.extract_backbone`; what it does not
            know is not compared.
        preprocessor: Data preprocessor of the config.
        path: Of the checkpoint, for the message.

    Raises:
        ValueError: Order of channels, mean or std differ.
    """
    for name, value in describe_input(preprocessor).items():
        trained = meta.get(name)
        if None not in (value, trained) and not same(value, trained):
            raise ValueError(
                f'{path} was trained with {name} = {trained}, but the '
                f'config has {value}: change model.data_preprocessor'
            )


def same(value: Any, expected: Any) -> bool:
    """Equal, numbers to a hundredth of a grey level."""
    if isinstance(expected, list) and isinstance(value, list):
        return len(value) == len(expected) and all(
            abs(a - b) < 0.01 for a, b in zip(value, expected, strict=True)
        )
    return value == expected
