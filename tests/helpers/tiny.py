"""A whole SCE that is small enough for unit tests."""

import numpy as np
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

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
class TinyMapNet(nn.Module):
    """Maps of 4 x 4 and of 2 x 2 cells, without batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 1)
        self.second = nn.Conv2d(6, 8, 2, stride=2)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        first = self.first(adaptive_avg_pool2d(images, 4)).tanh()
        return first, self.second(first).tanh()


@MODELS.register_module(force=True)
class TinyPyramid(nn.Module):
    """Maps of as many channels each, of those of a TinyMapNet."""

    def __init__(self, in_channels: list[int], out_channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(
            nn.Conv2d(channels, out_channels, 1) for channels in in_channels
        )

    def forward(self, maps: tuple[Tensor, ...]) -> list[Tensor]:
        return [f(x) for f, x in zip(self.lateral, maps, strict=True)]


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
    """Linear projection of pooled features, or of rows."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(in_channels, out_channels)

    def forward(self, features: tuple[Tensor]) -> tuple[Tensor]:
        rows = features[0]
        if rows.ndim == 4:
            rows = rows.mean(dim=(2, 3))
        return (self.fc(rows),)


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


def dense_options(**options) -> dict:
    """Options of a loss between places too, of the map of 4 x 4 cells."""
    neck = {'type': 'TinyNeck', 'in_channels': 6, 'out_channels': 5}
    head = {
        'type': 'DenseSCEHead',
        'loss': {'type': 'SCELoss', 'coeff': 0.3},
        'predictor': {**neck, 'in_channels': 5},
        'grid': 3,
        'level': 0,
        **options.pop('dense_head', {}),
    }
    return {
        'backbone': {'type': 'TinyMapNet'},
        'dense_neck': neck,
        'dense_head': head,
        'dense_queue': {'length': 140},
        **options,
    }


def pyramid_options(**options) -> dict:
    """Options of a loss between places of a pyramid."""
    pyramid = {
        'type': 'TinyPyramid',
        'in_channels': [6, 8],
        'out_channels': 6,
        **options.pop('pyramid', {}),
    }
    head = {'level': -1, **options.pop('dense_head', {})}
    return dense_options(pyramid=pyramid, dense_head=head, **options)


def samples(n: int, count: int = 2, seed: int = 0) -> list[DataSample]:
    """Data samples of n images of 40 x 60 pixels with boxes of the views."""
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        sides = draw.integers(8, 30, (count, 2))
        corners = draw.integers(0, (40, 60) - sides)
        flips = draw.integers(0, 2, (count, 1))
        boxes = np.concatenate([corners, sides, flips], axis=1)
        found.append(DataSample(metainfo={'view_boxes': boxes}))
    return found


def build(seed: int = 0, **options) -> nn.Module:
    """A tiny SCE with weights that depend on the seed alone."""
    torch.manual_seed(seed)
    return MODELS.build(sce_config(**options))


def build_dense(seed: int = 0, **options) -> nn.Module:
    """A tiny SCE with a dense loss too."""
    torch.manual_seed(seed)
    return MODELS.build(sce_config(**dense_options(**options)))


def views(n: int, count: int = 2, seed: int = 0) -> list[Tensor]:
    """``count`` views of n images, the third and later ones smaller."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(n, 3, size, size, generator=generator)
        for size in [8, 8, *[6] * (count - 2)][:count]
    ]
