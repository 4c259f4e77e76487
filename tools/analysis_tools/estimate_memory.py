"""Estimate the GPU memory of a recipe, without a GPU.

    python tools/analysis_tools/estimate_memory.py CONFIG ...

Counts what autograd keeps for the backward pass of all views (at two small
batches on the CPU, extrapolated to the recipe's), and adds weights, gradients,
optimiser state, momentum encoder and queue. Under mixed precision the forward
pass runs in bfloat16, which is as wide as the half precision of a GPU. What a
GPU adds (context, workspaces of convolutions, fragmentation, buckets of
distributed training) is not counted: expect a few GB more.
"""

import argparse

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from torch import nn

import sce_mm  # noqa: F401  (registers the model)

GB = 2**30


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('config', nargs='+')
    for path in parser.parse_args().config:
        kept, fixed = estimate(Config.fromfile(path))
        print(
            f'{path}: {kept + fixed:.1f} GB a process '
            f'({kept:.1f} kept for backward, {fixed:.1f} weights and state)'
        )


def estimate(cfg: Config) -> tuple[float, float]:
    """GB kept for the backward pass, and GB of weights and state."""
    init_default_scope('mmpretrain')
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    amp = cfg.optim_wrapper.get('type') == 'AmpOptimWrapper'
    sizes = [view.size for view in view_configs(cfg)]
    # Batch norm that is split takes multiples of its groups.
    groups = (cfg.model.get('shuffle_bn') or {}).get('simulated_devices', 2)
    # Two batches, for copies of the weights do not grow with the batch.
    small, large = (
        kept_bytes(model, sizes, batch, amp) for batch in (groups, 2 * groups)
    )
    per_image = (large - small) / groups
    batch = cfg.train_dataloader.batch_size
    kept = small + per_image * (batch - groups)
    return kept / GB, state_bytes(model, cfg.optim_wrapper) / GB


def view_configs(cfg: Config) -> list:
    """The views that the pipeline makes."""
    pipeline = cfg.train_dataloader.dataset.pipeline
    return next(t.views for t in pipeline if t.type == 'SCEViews')


def kept_bytes(
    model: nn.Module, sizes: list[int], batch: int, amp: bool
) -> int:
    """Bytes of the tensors that autograd saves in one forward pass."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    saved = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    images = [torch.randn(batch, 3, size, size) for size in sizes]
    # Outside of training the loss does not wait for the momentum update.
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.train()
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x),
        torch.autocast('cpu', torch.bfloat16, enabled=amp),
    ):
        loss = model.loss(images)['loss']
    assert loss.requires_grad
    return sum(saved.values())


def state_bytes(model: nn.Module, optim_wrapper: dict) -> int:
    """Bytes of weights, gradients, optimiser state and buffers."""
    copies = 4 if optim_wrapper.optimizer.type.startswith('Adam') else 3
    total = sum(
        p.nbytes * (copies if p.requires_grad else 1)
        for p in model.parameters()
    )
    return total + sum(b.nbytes for b in model.buffers())


if __name__ == '__main__':
    main()
