"""Feature pyramid from the last map of a plain Vision Transformer."""

from collections.abc import Sequence

from mmdet.registry import MODELS
from mmengine.model import BaseModule
from mmpretrain.models.utils import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional

from ..utils.errors import UserError


@MODELS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """Four scales of one map, and coarser ones by pooling.

    A Vision Transformer has one map, at the stride of its patches. As in
    ViTDet (`Li et al. 2022 <https://arxiv.org/abs/2203.16527>`_) transposed
    convolutions make maps of four and two times its size, pooling one of
    half. mmdet has this neck only among the projects of its repository, which
    no package contains.

    Args:
        in_channels: Channels ``C`` of the map.
        out_channels: Channels of every output.
        num_outs: Number of outputs, four or more.
        init_cfg: Initialisation, as of any module of mmengine.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        num_outs: int = 5,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_outs < 4:
            raise UserError(
                f'SimpleFeaturePyramid makes four scales or more, not '
                f'num_outs={num_outs}'
            )
        self.num_outs = num_outs
        half, quarter = in_channels // 2, in_channels // 4
        scales: list[tuple[nn.Module, int]] = [
            (
                nn.Sequential(
                    nn.ConvTranspose2d(in_channels, half, 2, stride=2),
                    LayerNorm2d(half),
                    nn.GELU(),
                    nn.ConvTranspose2d(half, quarter, 2, stride=2),
                ),
                quarter,
            ),
            (nn.ConvTranspose2d(in_channels, half, 2, stride=2), half),
            (nn.Identity(), in_channels),
            (nn.MaxPool2d(2), in_channels),
        ]
        self.scales = nn.ModuleList(
            nn.Sequential(
                resize,
                nn.Conv2d(channels, out_channels, 1, bias=False),
                LayerNorm2d(out_channels),
                nn.Conv2d(
                    out_channels, out_channels, 3, padding=1, bias=False
                ),
                LayerNorm2d(out_channels),
            )
            for resize, channels in scales
        )

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Pyramid of the last map.

        Args:
            inputs: Maps of the backbone, the last ``[N, C, h, w]``.

        Returns:
            Maps with sides of 4, 2, 1 and 1/2 times ``h`` and ``w``, and each
            further one of half the size before.
        """
        outputs = [scale(inputs[-1]) for scale in self.scales]
        for _ in range(self.num_outs - len(outputs)):
            outputs.append(functional.max_pool2d(outputs[-1], 1, stride=2))
        return tuple(outputs)
