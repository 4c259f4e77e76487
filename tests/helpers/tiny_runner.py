"""A Runner over the tiny SCE: real loop, optimiser wrapper and hooks."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import RepeatDataset
from mmengine.hooks import Hook
from mmengine.runner import Runner
from tiny import sce_config, views
from torch.utils.data import DataLoader, Dataset

# Runners of one second and one name would share their logger.
RUNNERS = itertools.count()


class TinyImages(Dataset):
    """Fixed random views of ``count`` images."""

    metainfo = None

    def __init__(self, count: int) -> None:
        self.views = views(count, seed=3)
        self.samples: Sequence[Any] = range(count)

    def __len__(self) -> int:
        return len(self.views[0])

    def __getitem__(self, index: int) -> dict:
        images = [view[index] for view in self.views]
        return {'inputs': images, 'data_samples': self.samples[index]}


def repeated(images: Dataset, times: int) -> RepeatDataset:
    """Several times the same images, as a short epoch may need them."""
    data = RepeatDataset.__new__(RepeatDataset)
    data.__dict__ |= {
        'dataset': images,
        '_fully_initialized': True,
        'times': times,
        '_ori_len': len(images),
        '_metainfo': None,
    }
    return data


class Record(Hook):
    """Losses of every iteration."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.losses: list[torch.Tensor] = []
        self.scalars: list[dict[str, float]] = []

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        self.losses.append(outputs['loss'].detach().clone())
        scalars = runner.message_hub.log_scalars
        self.scalars.append(
            {
                name.removeprefix('train/'): float(scalars[name].current())
                for name in scalars
                if name.startswith('train/')
            }
        )


def build_runner(
    work_dir: Path,
    images: int = 16,
    batch: int = 4,
    epochs: int = 2,
    accumulate: int = 1,
    hooks: tuple | None = None,
    seed: int = 0,
    model: dict | None = None,
    kind: type[Runner] = Runner,
    **options,
) -> tuple[Runner, Record]:
    """A runner and what records its losses.

    ``options`` override arguments of the Runner.
    """
    record = Record()
    update = {'type': 'MomentumUpdateHook', 'momentum': 0.1}
    hooks = (update,) if hooks is None else hooks
    arguments = {
        'model': sce_config(**(model or {})),
        'work_dir': str(work_dir),
        'train_dataloader': DataLoader(TinyImages(images), batch_size=batch),
        'train_cfg': {'by_epoch': True, 'max_epochs': epochs},
        'optim_wrapper': {
            'type': 'OptimWrapper',
            'optimizer': {'type': 'SGD', 'lr': 0.3, 'momentum': 0.9},
            'accumulative_counts': accumulate,
        },
        'param_scheduler': [
            {
                'type': 'CosineAnnealingLR',
                'convert_to_iter_based': True,
                'by_epoch': True,
                'end': epochs,
                'T_max': epochs,
            },
        ],
        'custom_hooks': [*hooks, record],
        'default_hooks': {'logger': None},
        'default_scope': 'mmpretrain',
        'log_level': 'ERROR',
        'randomness': {'seed': seed},
        'experiment_name': f'{Path(work_dir).name}-{next(RUNNERS)}',
    }
    return kind(**(arguments | options)), record
