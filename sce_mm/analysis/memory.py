"""Count the memory of a training process without training.

What autograd keeps for the backward pass of all views is counted at two small
batches on the CPU and continued along a line. Under mixed precision that pass
runs in bfloat16, which is as wide as the half precision of a GPU.
"""

from dataclasses import dataclass

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from ..config import parts
from ..models.algorithms.sce import SCE
from ..models.utils.memory_queue import QUEUES
from ..utils.errors import UserError


@dataclass(frozen=True)
class Memory:
    """Bytes of a process.

    Args:
        state: Bytes of each part that does not depend on the batch.
        kept: What the backward pass needs whatever the batch, such as weights
            in another precision.
        kept_per_image: What it needs for each image of the batch.
        views_per_image: The views of an image, loaded and normalised.
    """

    state: dict[str, int]
    kept: float
    kept_per_image: float
    views_per_image: int

    def parts(self, batch: int) -> dict[str, float]:
        """Bytes of each part at a batch of so many images."""
        return {
            **self.state,
            'views': batch * self.views_per_image,
            'kept for backward': self.kept + batch * self.kept_per_image,
        }

    def total(self, batch: int) -> float:
        """Bytes at a batch of so many images."""
        return sum(self.parts(batch).values())

    def largest_batch(self, available: float, multiple: int = 1) -> int:
        """The largest batch that fits into so many bytes; 0 if none does.

        >>> Memory({'weights': 100}, 0, 8, 2).largest_batch(1010, multiple=8)
        88
        """
        fixed, per_image = self.total(0), self.total(1) - self.total(0)
        images = max(0, int((available - fixed) // per_image))
        return images - images % multiple


def count_memory(cfg: Config) -> Memory:
    """Memory of a process that trains this config."""
    init_default_scope('mmpretrain')
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    sizes = view_sizes_of_config(cfg)
    # Batch norm takes no single image.
    batch = max(2, batch_multiple(cfg))
    half = cfg.optim_wrapper.get('type', '').startswith(('Amp', 'BF16'))
    small, large = (
        kept_bytes(model, sizes, images, half) for images in (batch, 2 * batch)
    )
    per_image = (large - small) / batch
    return Memory(
        state=state_bytes(model, cfg.optim_wrapper.optimizer),
        kept=small - batch * per_image,
        kept_per_image=per_image,
        views_per_image=sum(3 * size**2 * (1 + 4) for size in sizes),
    )


def view_sizes_of_config(cfg: Config) -> list[int]:
    """Pixels along a side of each view that the pipeline makes.

    Raises:
        UserError: The pipeline does not say which views it makes.
    """
    for _, transform in parts.view_transforms(cfg):
        return parts.view_sizes(transform)
    raise UserError(
        'the estimate reads number and sizes of the views from SCEViews, and '
        'the training pipeline of this config has none'
    )


def batch_multiple(cfg: Config) -> int:
    """Number that has to divide the batch, because of split batch norm."""
    return (cfg.model.get('shuffle_bn') or {}).get('simulated_devices', 1)


def kept_bytes(model: SCE, sizes: list[int], batch: int, half: bool) -> int:
    """Bytes that autograd saves in one forward pass.

    Weights and views are left out: they are there anyway.
    """
    images = [torch.randn(batch, 3, size, size) for size in sizes]
    known = {
        x.untyped_storage().data_ptr() for x in (*model.parameters(), *images)
    }
    saved = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    # Outside of training the loss does not wait for the momentum update.
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.train()
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x),
        torch.autocast('cpu', torch.bfloat16, enabled=half),
    ):
        model.loss(images, whole_views(batch, len(sizes)))
    return sum(saved.values())


def whole_views(batch: int, views: int) -> list[DataSample]:
    """Data samples of images of which each view shows everything."""
    boxes = np.tile([0, 0, 1, 1, 0], (views, 1))
    return [DataSample(metainfo={'view_boxes': boxes}) for _ in range(batch)]


def state_bytes(model: nn.Module, optimizer: ConfigDict) -> dict[str, int]:
    """Bytes of weights, gradients, optimiser, momentum encoder, queues."""
    trained = sum(p.nbytes for p in model.parameters() if p.requires_grad)
    adam = optimizer.type.startswith('Adam')
    moments = 2 if adam else int(optimizer.get('momentum', 0) > 0)
    momentum, *queues = (
        _bytes(getattr(model, name, None))
        for name in ('momentum_encoder', *QUEUES)
    )
    queue = sum(queues)
    return {
        'weights': _bytes(model) - momentum - queue,
        'gradients': trained,
        'optimiser state': moments * trained,
        'momentum encoder': momentum,
        'queue': queue,
    }


def _bytes(module: nn.Module | None) -> int:
    if module is None:
        return 0
    return sum(x.nbytes for x in (*module.parameters(), *module.buffers()))
