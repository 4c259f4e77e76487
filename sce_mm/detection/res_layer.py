"""Shared head of C4 detectors: the last stage of a ResNet and a norm."""

from typing import Any

from mmcv.cnn import build_norm_layer
from mmdet.models.roi_heads.shared_heads import ResLayer
from mmdet.registry import MODELS
from torch import Tensor


# mmpretrain registers a class of this name too, if it happens to be imported
# where mmdet is found; ours is there whatever came before.
@MODELS.register_module(force=True)
class ResLayerExtraNorm(ResLayer):
    """Stage of a ResNet followed by one more norm.

    C4 detectors run the last stage on every region. Where batch
    norm is trained, the features that boxes and masks are predicted from want
    a norm of their own: He et al., "Momentum Contrast for Unsupervised Visual
    Representation Learning", 2020, appendix on detection.

    The stage is ``layer4``, as in a backbone, so that ``init_cfg=dict(
    type='Pretrained', checkpoint='backbone.pth')`` takes it from a backbone
    file; the file has nothing for ``norm``, which starts as identity.

    Args:
        depth: Depth of the ResNet, 18 to 152.
        **kwargs: See mmdet's ``ResLayer``.
    """

    def __init__(self, depth: int, **kwargs: Any) -> None:
        super().__init__(depth, **kwargs)
        block = getattr(self, f'layer{self.stage + 1}')[-1]
        channels = 64 * 2**self.stage * block.expansion
        self.norm = build_norm_layer(self.norm_cfg, channels)[1]

    def forward(self, regions: Tensor) -> Tensor:
        """Features ``[N, C, h/2, w/2]`` of regions ``[N, C/2, h, w]``."""
        return self.norm(super().forward(regions))
