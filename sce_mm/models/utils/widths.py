"""Check that each part of a model is as wide as the part before it."""

from copy import deepcopy

import torch
from torch import Tensor, nn


def check_widths(
    backbone: nn.Module, neck: nn.Module, configs: dict[str, dict]
) -> None:
    """Refuse widths in configs that do not fit; a part may name none.

    Args:
        backbone: The backbone of the model.
        neck: The projector.
        configs: Configs of the ``neck``, the ``head.predictor`` and the
            ``queue``, empty if there is none.
    """
    pools = getattr(neck, 'with_avg_pool', False)
    features = 'the backbone gives features', pooled_width(backbone, pools)
    embedding = 'the neck gives keys', configs['neck'].get('out_channels')
    for part, option, (before, width) in (
        ('neck', 'in_channels', features),
        ('head.predictor', 'in_channels', embedding),
        ('head.predictor', 'out_channels', embedding),
        ('queue', 'dim', embedding),
    ):
        key, has = f'{part}.{option}', configs[part].get(option)
        if None not in (has, width) and has != width:
            raise ValueError(
                f'{key} is {has}, but {before} of width {width}: set '
                f'{key}={width}'
            )


@torch.no_grad()
def pooled_width(backbone: nn.Module, pools: bool) -> int | None:
    """Width of the last output, from shapes alone: nothing is computed.

    None if channels are not all that counts, as nothing ``pools`` a map over
    its pixels, or if the backbone works on real pixels alone.
    """
    size = getattr(backbone, 'img_size', 224)
    height, width = (size, size) if isinstance(size, int) else size
    try:
        image = torch.empty(1, 3, height, width, device='meta')
        shapes = deepcopy(backbone).to('meta')
        # That of some backbones returns nothing.
        shapes.eval()
        out = shapes(image)
        last = out if isinstance(out, Tensor) else out[-1]
    # Whatever a custom backbone does with pixels that are not there.
    except Exception:
        return None
    _, channels, *pixels = last.shape
    pooled = not pixels or pixels == [1, 1] or (len(pixels) == 2 and pools)
    return channels if pooled else None
