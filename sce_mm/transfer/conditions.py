"""How the pretrained parts of a model compute, read off the model."""

from collections import Counter
from collections.abc import Mapping

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from .meta_hook import describe_backbone

BATCH, STORED = 'statistics of the batch', 'stored statistics'

# What mmengine makes of SyncBN where there is but one process.
NAMES = {'_BatchNormXd': 'SyncBN (BN in one process)'}


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
