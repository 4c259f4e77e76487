"""Distributed data parallel training on CPUs (gloo)."""

from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_distributed
from mmengine.logging import print_log
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.registry import MODEL_WRAPPERS
from torch import nn

from ...utils.errors import UserError


def use_gloo(cfg: Config) -> None:
    """Distributed training without GPUs.

    mmengine selects a GPU before it starts any backend, so the processes are
    connected here, which only torchrun's environment allows.
    """
    if cfg.launcher != 'pytorch':
        raise UserError(
            f'--launcher {cfg.launcher} needs GPUs and found none: on CPU '
            'use tools/dist_train.sh, which starts --launcher pytorch'
        )
    if not is_distributed():
        torch.distributed.init_process_group('gloo')
    cfg.model_wrapper_cfg = dict(
        type='CPUDistributedDataParallel',
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )


@MODEL_WRAPPERS.register_module()
class CPUDistributedDataParallel(MMDistributedDataParallel):
    """Data parallelism over gloo, without synchronised batch norm.

    PyTorch has synchronised batch norm for GPUs only.

    Args:
        module: Model.
        device_ids: Ignored; some runners name a GPU in any case.
        **kwargs: See the base class.
    """

    def __init__(
        self,
        module: nn.Module,
        device_ids: list[int] | None = None,
        **kwargs: Any,
    ) -> None:
        if any(isinstance(m, nn.SyncBatchNorm) for m in module.modules()):
            print_log(
                'SyncBN works on GPUs only: each process normalises its own '
                'part of the batch',
                logger='current',
            )
            module = revert_sync_batchnorm(module)
        super().__init__(module, broadcast_buffers=False, **kwargs)
