"""Say what a verification does not compare, or cannot call right or wrong."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...utils.text import listed
from ..backbone import Backbone
from ..named_weights import named_weights
from ..networks.resnet import ResNetArchitecture
from .load_report import is_same_file
from .pipelines import stretch_note

# Of torch, torchvision, mmpretrain and detectron2.
_EPS = 1e-5
# Whose data preprocessors swap and normalise as they say, and do no more.
_LIBRARIES = ('mmengine', 'mmdet', 'mmseg', 'mmpretrain', 'sce_mm')


def notes_on(
    model: Any,
    parts: Mapping[str, nn.Module],
    path: str,
    cfg: Mapping[str, Any],
    backbone: Backbone,
) -> Iterator[str]:
    """Lines on other files, the data preprocessor and the norms of a model.

    Args:
        model: Model that is about to be trained.
        parts: Parts of it that load the file.
        path: The file.
        cfg: Config of the whole run.
        backbone: What the file holds.
    """
    if backbone.meta.get('epochs') == 0 or _has_first_statistics(backbone):
        yield (
            f'{path} is of a network that was not trained: its batch norms '
            'have seen no image, or it says 0 epochs'
        )
    if note := stretch_note(backbone.meta.get('stretch'), cfg):
        yield note
    for where, value in named_weights(cfg):
        if where != 'load_from' and not is_same_file(path, value):
            yield f'{where} loads {value}, which is not compared with the file'
    if isinstance(backbone.known_architecture, ResNetArchitecture):
        yield from _other_scale(parts['backbone'])
        yield from _other_eps(parts)
    preprocessor = type(model.data_preprocessor)
    if preprocessor.__module__.partition('.')[0] not in _LIBRARIES:
        yield (
            f'model.data_preprocessor is a {preprocessor.__name__} of your '
            'own: its channels, mean and std are compared, and what else it '
            'does to pixels is not'
        )


def _has_first_statistics(backbone: Backbone) -> bool:
    """Whether all statistics of batch norms are those that they start with."""
    means = [v for n, v in backbone.weights.items() if n.endswith('mean')]
    variances = [v for n, v in backbone.weights.items() if n.endswith('var')]
    return bool(means) and not any(
        [*(v.any() for v in means), *((v != 1).any() for v in variances)]
    )


def _other_eps(parts: Mapping[str, nn.Module]) -> Iterator[str]:
    """A line if norms divide by another root than those of ResNets do."""
    eps = {
        module.eps
        for part in parts.values()
        for module in part.modules()
        if isinstance(module, _BatchNorm)
    }
    if other := sorted(eps - {_EPS}):
        yield (
            f'batch norms have eps={listed([f"{x:g}" for x in other])}, those '
            f'of nearly all pretrainings {_EPS:g}: the same weights then make '
            'other features'
        )


def _other_scale(network: nn.Module) -> Iterator[str]:
    """A line if stages of a ResNet see images at another scale.

    A stage without its stride sees the same as with it if it is dilated as
    much; no tensor shows either.
    """
    strides = [*getattr(network, 'strides', ())]
    dilations = [*getattr(network, 'dilations', ())]
    reach = 1
    for stage, (stride, dilation) in enumerate(
        zip(strides, dilations, strict=False)
    ):
        reach *= stride
        if reach * dilation != 1 << stage:
            yield (
                f'the stages of the backbone have strides {strides} and '
                f'dilations {dilations}: unless the pretraining had them, the '
                'same weights see images at another scale'
            )
            return
