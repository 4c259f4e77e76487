"""A whole SCE that is small enough for unit tests."""

import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn

import sce_mm  # noqa: F401  (registers the model)

# Older versions of torch have no float16 under autocast on a CPU.
HALF = [torch.bfloat16]
if tuple(map(int, torch.__version__.split('.')[:2])) >= (2, 3):
    HALF.append(torch.float16)


@MODELS.register_module(force=True)
class TinyBackbone(nn.Sequential):
    """Pooled pixels of ``[N, 3, h, w]``, a linear layer, batch norm if asked.

    Without batch norm an image does not depend on its batch, so that runs on
    other batch sizes and numbers of processes can be compared.
    """

    def __init__(self, batch_norm: bool = False) -> None:
        super().__init__(
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(12, 8),
            nn.BatchNorm1d(8) if batch_norm else nn.Tanh(),
        )

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (super().forward(images)[..., None, None],)


@MODELS.register_module(force=True)
class TinyConvNet(nn.Sequential):
    """A convolution, 2-d batch norm, pooling."""

    def __init__(self, norm: type[nn.Module] = nn.BatchNorm2d) -> None:
        super().__init__(
            nn.Conv2d(3, 8, 3, stride=2, bias=False),
            norm(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
        )

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (super().forward(images),)


@MODELS.register_module(force=True)
class TinyNeck(nn.Module):
    """Linear projection of pooled features."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(in_channels, out_channels)

    def forward(self, features: tuple[Tensor]) -> tuple[Tensor]:
        return (self.fc(features[0].flatten(1)),)


def sce_config(
    batch_norm: bool = False,
    predictor: bool = True,
    queue_length: int | None = 24,
    in_batch_keys: bool = False,
    **options,
) -> dict:
    """Config of a tiny SCE; ``options`` override top-level keys."""
    neck = {'type': 'TinyNeck', 'in_channels': 8, 'out_channels': 4}
    head = {
        'type': 'SCEHead',
        'loss': {'type': 'SCELoss'},
        'predictor': {**neck, 'in_channels': 4} if predictor else None,
        'in_batch_keys': in_batch_keys,
    }
    return {
        'type': 'SCE',
        'backbone': {'type': 'TinyBackbone', 'batch_norm': batch_norm},
        'neck': neck,
        'head': head,
        'queue': queue_length and {'length': queue_length},
        'data_preprocessor': {'type': 'BaseDataPreprocessor'},
        **options,
    }


def build(seed: int = 0, **options) -> nn.Module:
    """A tiny SCE with weights that depend on the seed alone."""
    torch.manual_seed(seed)
    return MODELS.build(sce_config(**options))


def views(n: int, count: int = 2, seed: int = 0) -> list[Tensor]:
    """``count`` views of n images, the third and later ones smaller."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(n, 3, size, size, generator=generator)
        for size in [8, 8, *[6] * (count - 2)][:count]
    ]
