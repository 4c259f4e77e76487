"""lightly's transforms and its MoCo step, where lightly is installed.

    pip install --no-deps lightly lightning-utilities

Not part of the environment: its dependencies bring a second training
framework, of which nothing is used here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from importlib.util import find_spec

import torch
from mmpretrain.registry import MODELS
from step_models import QUEUE, WIDTH
from torch import Tensor, nn
from torchvision.transforms import v2

from sce_mm.datasets import Augmentation

ABSENT = (
    'lightly is not installed, so it is not among the peers: '
    'pip install --no-deps lightly lightning-utilities'
)


def installed() -> bool:
    """Whether there is a lightly; says so if there is none."""
    found = find_spec('lightly') is not None
    if not found:
        print(ABSENT)
    return found


def lightly_views(
    views: Sequence[Augmentation], read: Callable[[str], object]
) -> Callable[[str], object]:
    """Views as lightly composes them, its own blur and solarisation."""
    from lightly.transforms import GaussianBlur, RandomSolarization
    from lightly.transforms.multi_view_transform import MultiViewTransform

    transform = MultiViewTransform(
        [
            v2.Compose(
                [
                    v2.RandomResizedCrop(aug.size, aug.scale, aug.ratio),
                    v2.RandomHorizontalFlip(aug.flip_prob),
                    v2.RandomApply(
                        [
                            v2.ColorJitter(
                                aug.brightness,
                                aug.contrast,
                                aug.saturation,
                                aug.hue,
                            )
                        ],
                        p=aug.jitter_prob,
                    ),
                    v2.RandomGrayscale(aug.grey_prob),
                    GaussianBlur(prob=aug.blur_prob, sigmas=aug.blur_sigma),
                    RandomSolarization(
                        aug.solarise_prob, aug.solarise_threshold
                    ),
                    v2.PILToTensor(),
                ]
            )
            for aug in views
        ]
    )
    return lambda path: transform(read(path))


def lightly_step(setting: dict, channels_last: bool) -> Callable:
    """MoCo v2 of lightly's parts on the same backbone, one view a branch."""
    from lightly.loss import NTXentLoss
    from lightly.models.modules import MoCoProjectionHead
    from lightly.models.utils import deactivate_requires_grad, update_momentum

    width = setting['features']
    online = nn.Sequential(
        Pooled(MODELS.build(setting['backbone'])),
        MoCoProjectionHead(width, width, WIDTH, num_layers=3, batch_norm=True),
    )
    if channels_last:
        online = online.to(memory_format=torch.channels_last)
    target = copy.deepcopy(online.train())
    deactivate_requires_grad(target)
    criterion = NTXentLoss(temperature=0.2, memory_bank_size=(QUEUE, WIDTH))
    optimizer = torch.optim.SGD(online.parameters(), lr=0.01, momentum=0.9)

    def step(views: Sequence[Tensor], autocast: Callable) -> None:
        update_momentum(online, target, m=0.99)
        with autocast():
            queries = online(views[0])
            keys = target(views[1]).detach()
            loss = criterion(queries, keys)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


class Pooled(nn.Module):
    """A backbone and the average over its last map."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:
        """Features ``[N, D]``."""
        return self.backbone(images)[-1].mean(dim=(2, 3))
