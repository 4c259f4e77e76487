"""Dataloaders of labelled images, from their configs."""

import json
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from ..config_parts import find_hook
from ..signals import ShieldedWorker
from .rng import preserve_rng
from .samples import NO_LABEL, collate, num_images


def build_labelled_loader(config: dict, name: str, seed: int) -> DataLoader:
    """Loader whose first image has proved to be usable.

    The global random generators are as before.

    Args:
        config: As of ``train_dataloader``; a sampler is not needed.
        name: What the messages call it.
        seed: Of the workers.

    Raises:
        ValueError: The data set cannot be built or is empty, or its first
            image cannot be loaded, has no label or is not one view.
    """
    defaults = {'sampler': {'type': 'DefaultSampler', 'shuffle': False}}
    with preserve_rng():
        try:
            loader = Runner.build_dataloader({**defaults, **config}, seed)
            first = loader.dataset[0] if num_images(loader) else None
        # Registries and transforms raise anything.
        except Exception as error:
            raise ValueError(
                f'the {name} of the kNN evaluation cannot be loaded: '
                f'{type(error).__name__}: {error}. Its config: '
                f'{json.dumps(config, default=str)}'
            ) from error
        loader.worker_init_fn = ShieldedWorker(loader.worker_init_fn)
        if first is None:
            raise ValueError(
                f'the {name} of the kNN evaluation is empty: check the paths '
                'of its data set'
            )
        _, labels = collate([first])
    if labels.item() == NO_LABEL:
        raise ValueError(
            f'the images of the kNN {name} have no labels: name a labelled '
            "data set (such as 'CustomDataset' with one folder per class), "
            'or remove the OnlineKNNHook'
        )
    return loader


def knn_settings(cfg: Config) -> dict[str, Any]:
    """Data and numbers of the kNN evaluation that a config stands for.

    Those of its OnlineKNNHook; of a classifier the training images, seen
    through the pipeline of the validation images, are the bank, and the
    validation images the queries.

    Returns:
        ``bank``, ``query`` and perhaps more arguments of the hook.

    Raises:
        ValueError: It has neither.
    """
    if hook := find_hook(cfg, 'OnlineKNNHook'):
        return dict(hook)
    if not (cfg.get('train_dataloader') and cfg.get('val_dataloader')):
        raise ValueError(
            'the config names no labelled images: take one of a classifier '
            '(configs/sce/benchmarks), or add default_hooks = '
            "dict(online_knn=dict(type='OnlineKNNHook', bank=dict("
            'batch_size=..., num_workers=..., dataset=dict(...)), '
            'query=dict(...)))'
        )
    query = cfg.val_dataloader
    return {
        'bank': {
            'batch_size': query.batch_size,
            'num_workers': query.num_workers,
            'dataset': {
                **cfg.train_dataloader.dataset,
                'pipeline': query.dataset.pipeline,
            },
        },
        'query': query,
    }


def labelled_loaders(cfg: Config) -> tuple[DataLoader, DataLoader]:
    """Bank and query set of :func:`knn_settings`."""
    settings = knn_settings(cfg)
    seed = seed_of(cfg)
    return (
        build_labelled_loader(settings['bank'], 'bank', seed),
        build_labelled_loader(settings['query'], 'query set', seed),
    )


def seed_of(cfg: Config) -> int:
    """Seed of a config, 0 if it names none."""
    return (cfg.get('randomness') or {}).get('seed') or 0
