"""What the processes of a distributed training of a config exchange."""

from __future__ import annotations

from mmengine.config import Config
from mmpretrain.registry import MODELS
from torch import nn

from ..models.algorithms.sce import SCE
from .memory import view_sizes
from .scaling import FLOAT, Traffic


def count_traffic(cfg: Config, batch: int) -> Traffic:
    """What one process sends in a step of so many images."""
    model = MODELS.build(cfg.model)
    sizes = view_sizes(cfg)
    targets = cfg.model.get('num_target_views', 2)
    # The only target view has nothing to learn from.
    online = len(sizes) - 1 if targets == 1 else len(sizes)
    target_norms = _norm_channels(model.momentum_encoder)
    online_norms = [
        channels
        for part in (model.backbone, model.neck, model.head)
        for channels in _norm_channels(part)
    ]
    shuffled = sum(sizes[i] ** 2 for i in range(targets))
    return Traffic(
        gradients=sum(p.nbytes for p in model.parameters() if p.requires_grad),
        keys=targets * batch * _key_width(model, cfg) * FLOAT,
        images=3 * shuffled * batch * FLOAT
        if cfg.model.get('shuffle_bn')
        else 0,
        online_norms=online * online_norms,
        target_norms=targets * target_norms,
    )


def _key_width(model: SCE, cfg: Config) -> int:
    if model.queue is not None:
        return model.queue.features.shape[1]
    return cfg.model.neck.out_channels


def _norm_channels(module: nn.Module) -> list[int]:
    """Channels of the synchronised batch norms."""
    return [
        norm.num_features
        for norm in module.modules()
        if isinstance(norm, nn.SyncBatchNorm)
    ]
