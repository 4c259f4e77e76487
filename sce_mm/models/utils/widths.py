"""Check that each part of a model is as wide as the part before it."""

from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn

from ...utils.errors import UserError


def check_widths(
    backbone: nn.Module,
    neck: nn.Module,
    configs: Mapping[str, dict | None],
    level: int | None = None,
) -> None:
    """Refuse widths in configs that do not fit; a part may name none.

    Args:
        backbone: The backbone of the model.
        neck: The projector.
        configs: Configs of ``neck``, ``head`` and ``queue``, those of the
            dense loss, ``dense_neck`` and so on, and that of ``pyramid``;
            None for a part that there is not.
        level: Output of the backbone that ``dense_neck`` gets places of if
            there is no pyramid; None without a ``dense_neck``.

    Raises:
        UserError: Parts do not fit, or that output is no feature map.
    """
    parts = {name: config or {} for name, config in configs.items()}
    for name in ('head', 'dense_head'):
        parts[f'{name}.predictor'] = parts[name].get('predictor') or {}
    # None if the backbone works on real pixels alone.
    shapes = output_shapes(backbone)
    pools = getattr(neck, 'with_avg_pool', False)
    features = (
        'the backbone gives features',
        shapes and pooled_width(shapes[-1], pools),
    )
    embedding = 'the neck gives keys', parts['neck'].get('out_channels')
    places = 'dense_neck gives keys', parts['dense_neck'].get('out_channels')
    widths = [shape[1] for shape in shapes or ()]
    stages = 'the backbone gives maps', widths or None
    cells = 'the pyramid gives maps', parts['pyramid'].get('out_channels')
    if not parts['pyramid'] and level is not None:
        cells = 'the backbone gives a map', shapes and map_width(shapes, level)
    for part, option, (before, width) in (
        ('pyramid', 'in_channels', stages),
        ('dense_neck', 'in_channels', cells),
        ('dense_head.predictor', 'in_channels', places),
        ('dense_head.predictor', 'out_channels', places),
        ('dense_queue', 'dim', places),
        ('neck', 'in_channels', features),
        ('head.predictor', 'in_channels', embedding),
        ('head.predictor', 'out_channels', embedding),
        ('queue', 'dim', embedding),
    ):
        key, has = f'{part}.{option}', parts[part].get(option)
        has = list(has) if isinstance(has, tuple) else has
        if None not in (has, width) and has != width:
            raise UserError(
                f'{key} is {has}, but {before} of width {width}: set '
                f'model.{key}={width}'
            )


def pooled_width(shape: torch.Size, pools: bool) -> int | None:
    """Width of an output of the backbone.

    None if channels are not all that counts, as nothing ``pools`` a map over
    its pixels.
    """
    _, channels, *pixels = shape
    pooled = not pixels or pixels == [1, 1] or (len(pixels) == 2 and pools)
    return channels if pooled else None


def map_width(shapes: list[torch.Size], level: int) -> int:
    """Channels of the feature map that is one of the outputs.

    Raises:
        UserError: There is no such output, or it is no map.
    """
    if not -len(shapes) <= level < len(shapes) or len(shapes[level]) != 4:
        raise UserError(
            f'dense_head.level={level} is no feature map [N, C, h, w] of the '
            f'backbone, which gives {[list(shape) for shape in shapes]}: set '
            'the level, or backbone.out_indices'
        )
    return shapes[level][1]


@torch.no_grad()
def output_shapes(backbone: nn.Module) -> list[torch.Size] | None:
    """Shapes of all outputs for one image; None if it needs real pixels.

    From shapes alone: nothing is computed.
    """
    size = getattr(backbone, 'img_size', 224)
    height, width = (size, size) if isinstance(size, int) else size
    try:
        image = torch.empty(1, 3, height, width, device='meta')
        shapes = _on_meta(backbone)
        # eval() of some backbones returns None: it is not chained.
        shapes.eval()
        out = shapes(image)
        return [x.shape for x in ([out] if isinstance(out, Tensor) else out)]
    # Whatever a custom backbone does with pixels that are not there.
    except Exception:
        return None


def _on_meta(module: nn.Module) -> nn.Module:
    """A copy whose tensors have shapes, but no values; none is read."""
    tensors = [*module.parameters(), *module.buffers()]
    # To deepcopy these are the copies that it has made already.
    copies = {id(tensor): _without_values(tensor) for tensor in tensors}
    return deepcopy(module, copies).to('meta')


def _without_values(tensor: Tensor) -> Tensor:
    empty = torch.empty_like(tensor, device='meta')
    is_parameter = isinstance(tensor, nn.Parameter)
    return nn.Parameter(empty, tensor.requires_grad) if is_parameter else empty
