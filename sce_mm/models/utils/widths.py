"""Check that each part of a model is as wide as the part before it."""

from copy import deepcopy

import torch
from torch import Tensor, nn


def check_widths(
    backbone: nn.Module,
    neck: nn.Module,
    configs: dict[str, dict],
    queue: int | None,
) -> None:
    """Check the widths that configs name; a part that names none passes.

    Args:
        backbone: The backbone of the model.
        neck: The projector.
        configs: Configs of the ``neck`` and of the ``head.predictor``, if
            there is one, by these keys.
        queue: Width of a row of the queue, or None without one.

    Raises:
        ValueError: Two parts do not fit.
    """
    pools = getattr(neck, 'with_avg_pool', False)
    features = 'the backbone gives features', pooled_width(backbone, pools)
    embedding = 'the neck gives keys', configs['neck'].get('out_channels')
    predictor = configs['head.predictor']
    for key, has, (before, width) in (
        ('neck.in_channels', configs['neck'].get('in_channels'), features),
        (
            'head.predictor.in_channels',
            predictor.get('in_channels'),
            embedding,
        ),
        (
            'head.predictor.out_channels',
            predictor.get('out_channels'),
            embedding,
        ),
        ('queue.dim', queue, embedding),
    ):
        if None not in (has, width) and has != width:
            raise ValueError(
                f'{key} is {has}, but {before} of width {width}: set '
                f'{key}={width}'
            )


@torch.no_grad()
def pooled_width(backbone: nn.Module, pools: bool) -> int | None:
    """Width of the last output, from shapes alone: nothing is computed.

    Args:
        backbone: A network that takes ``[N, 3, h, w]``; it stays as it is.
        pools: Whether what follows averages a map over its pixels.

    Returns:
        Channels; None if they are not all that counts, or if the backbone
        works on real pixels alone.
    """
    size = getattr(backbone, 'img_size', 224)
    height, width = (size, size) if isinstance(size, int) else size
    try:
        image = torch.empty(1, 3, height, width, device='meta')
        shapes = deepcopy(backbone).to('meta')
        shapes.eval()
        out = shapes(image)
        last = out if isinstance(out, Tensor) else out[-1]
    # Whatever a custom backbone does with pixels that are not there.
    except Exception:
        return None
    _, channels, *pixels = last.shape
    pooled = not pixels or pixels == [1, 1] or (len(pixels) == 2 and pools)
    return channels if pooled else None
