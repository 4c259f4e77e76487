"""What each process of tests/test_gpu/test_processes_on_gpu.py does.

A module of its own, as started processes have to import it by name.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from distributed_worker import batches_of, part_of, places_of, run_steps
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from tiny import build
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

CASE = 'symmetric'


def build_synced(device: torch.device) -> BaseModel:
    """A model with SyncBN, which CPUs do not have: without norm there."""
    backbone = 'TinyBackbone' if device.type == 'cpu' else 'TinyConvNet'
    model = build(backbone={'type': backbone}, queue_length=36).double()
    return nn.SyncBatchNorm.convert_sync_batchnorm(model).to(device)


def steps(
    model: nn.Module, device: torch.device, rank: int, world: int
) -> tuple[Any, ...]:
    """What five steps of a process showed and left behind."""
    batches = [
        [part_of(CASE, view, rank, world).to(device) for view in batch]
        for batch in batches_of(CASE)
    ]
    return run_steps(model, batches, places_of(rank, world), accumulated=1)


def worker(
    rank: int, world: int, backend: str, device: torch.device, folder: Path
) -> None:
    """Be one of several processes on the same device."""
    init_default_scope('mmpretrain')
    dist.init_process_group(
        backend,
        init_method=f'file://{folder}/meeting',
        rank=rank,
        world_size=world,
        # Of a process that has died the others should not wait for minutes.
        timeout=timedelta(seconds=90),
    )
    model = DistributedDataParallel(
        build_synced(device), broadcast_buffers=False
    )
    _, _, state = steps(model, device, rank, world)
    here: dict[str, Tensor] = {name: x.cpu() for name, x in state.items()}
    torch.save(here, folder / f'{rank}.pth')
    dist.destroy_process_group()
