"""Check that each part of a model is as wide as the part before it."""

from itertools import chain

import torch
from torch import Tensor, nn
from torch.func import functional_call


def check_widths(
    backbone: nn.Module,
    neck: nn.Module,
    configs: dict[str, dict],
    queue: int | None,
) -> None:
    """Check the widths that configs name; a part that names none passes.

    Args:
        backbone: The first part.
        neck: The projector.
        configs: Of the ``neck`` and of the ``head.predictor``, if there is
            one, by their keys.
        queue: Width of a row of the queue, or None without one.

    Raises:
        ValueError: Two parts do not fit.
    """
    pools = getattr(neck, 'with_avg_pool', False)
    features = 'the backbone gives features', pooled_width(backbone, pools)
    embedding = 'the neck gives keys', configs['neck'].get('out_channels')
    for (part, name), (before, width) in {
        ('neck', 'in_channels'): features,
        ('head.predictor', 'in_channels'): embedding,
        ('head.predictor', 'out_channels'): embedding,
    }.items():
        has = configs.get(part, {}).get(name)
        _check_equal(f'{part}.{name}', has, before, width)
    _check_equal('queue.dim', queue, *embedding)


def _check_equal(
    key: str, has: int | None, before: str, width: int | None
) -> None:
    if None not in (has, width) and has != width:
        raise ValueError(
            f'{key} is {has}, but {before} of width {width}: set {key}={width}'
        )


@torch.no_grad()
def pooled_width(backbone: nn.Module, pools: bool) -> int | None:
    """Width of the last output, from shapes alone: nothing is computed.

    Args:
        backbone: Takes ``[N, 3, h, w]``; its state stays as it is.
        pools: Whether what follows averages a map over its pixels.

    Returns:
        Channels; None if they are not all that counts, or if the backbone
        works on real pixels alone.
    """
    size = getattr(backbone, 'img_size', 224)
    height, width = (size, size) if isinstance(size, int) else size
    state = {
        name: tensor.to('meta')
        for name, tensor in chain(
            backbone.named_parameters(), backbone.named_buffers()
        )
    }
    modes = [(module, module.training) for module in backbone.modules()]
    try:
        backbone.eval()
        image = torch.empty(1, 3, height, width, device='meta')
        out = functional_call(backbone, state, (image,))
        _, channels, *pixels = (
            out if isinstance(out, Tensor) else out[-1]
        ).shape
    # Whatever a custom backbone does with pixels that are not there.
    except Exception:
        return None
    finally:
        for module, training in modes:
            module.training = training
    if not pixels or pixels == [1, 1] or (len(pixels) == 2 and pools):
        return channels
    return None
