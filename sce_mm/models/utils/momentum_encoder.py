"""The target branch: an exponential moving average of the online one."""

from copy import deepcopy

import torch
from torch import Tensor, nn


class MomentumEncoder(nn.Module):
    """Backbone and neck whose parameters follow those of the online branch.

    Starts as a copy, takes no gradient, holds no predictor. Only parameters
    are averaged; buffers (batch norm statistics) are its own, from its own
    forward passes.

    Args:
        backbone: Online backbone, copied.
        neck: Online neck, copied.
    """

    def __init__(self, backbone: nn.Module, neck: nn.Module) -> None:
        super().__init__()
        self.backbone = deepcopy(backbone)
        self.neck = deepcopy(neck)
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Projected embeddings ``[N, D]`` of ``[N, 3, h, w]``."""
        (embedding,) = self.neck(self.backbone(images))
        return embedding

    @torch.no_grad()
    def copy_from(self, backbone: nn.Module, neck: nn.Module) -> None:
        """Take over parameters and buffers."""
        self.backbone.load_state_dict(backbone.state_dict())
        self.neck.load_state_dict(neck.state_dict())

    @torch.no_grad()
    def update(
        self, backbone: nn.Module, neck: nn.Module, momentum: float
    ) -> None:
        """``target <- (1 - momentum) target + momentum online``.

        Args:
            backbone: Online backbone.
            neck: Online neck.
            momentum: The small number, 0.01 for a decay of 0.99.
        """
        online: list[Tensor] = [*backbone.parameters(), *neck.parameters()]
        target: list[Tensor] = list(self.parameters())
        torch._foreach_lerp_(target, online, momentum)
