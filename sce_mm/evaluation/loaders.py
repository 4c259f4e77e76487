"""Build data loaders of labelled images from their configs."""

import copy
import json
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from ..config.parts import find_hook
from ..datasets.labelled_images import share_labels
from ..utils.errors import UserError
from ..utils.random_state import preserve_rng
from ..utils.text import listed
from .samples import NO_LABEL, NoImageError, NoReplacement, collate


def build_labelled_loaders(
    bank: dict, query: dict, seed: int
) -> tuple[DataLoader, DataLoader]:
    """Build loaders and check that their first images can be read.

    Class folders of the same name have the same label in both. The global
    random generators are as before.

    The configs are like ``train_dataloader``; samplers are not needed. The
    seed is that of the workers.

    Raises:
        UserError: A data set cannot be built or is empty, its images cannot
            be loaded, have no label or are not one view; or the queries have
            other classes than the bank.
    """
    # What is written into them is none of the caller's.
    bank, query = copy.deepcopy(bank), copy.deepcopy(query)
    try:
        share_labels(bank['dataset'], query['dataset'])
    except Exception as error:
        raise _not_loaded('bank', bank, error) from error
    loaders = _build(bank, 'bank', seed), _build(query, 'query set', seed)
    known, asked = (
        tuple(getattr(loader.dataset, 'metainfo', {}).get('classes') or ())
        for loader in loaders
    )
    if known and asked and known != asked:
        raise UserError(
            'the classes of the bank and of the query set of the '
            f'evaluation differ: {listed(known)} against {listed(asked)}'
        )
    return loaders


def _build(config: dict, name: str, seed: int) -> DataLoader:
    defaults = {'sampler': {'type': 'DefaultSampler', 'shuffle': False}}
    with preserve_rng():
        try:
            loader = Runner.build_dataloader({**defaults, **config}, seed)
            what = f'{name} of the evaluation'
            first = NoReplacement(loader.dataset).first(what)
        except NoImageError:
            raise
        # Registries and transforms raise anything.
        except Exception as error:
            raise _not_loaded(name, config, error) from error
        _, labels = collate([first])
    if labels.item() == NO_LABEL:
        raise UserError(
            f'the images of the {name} have no labels: name a labelled data '
            "set (such as 'LabelledImages' with one folder per class), or "
            'remove the OnlineKNNHook if the config has one'
        )
    return loader


def _not_loaded(name: str, config: dict, error: Exception) -> UserError:
    what = f'the {name} of the evaluation cannot be loaded'
    # Errors of data sets say what is wrong with which folder.
    if isinstance(error, (OSError, ValueError)):
        return UserError(f'{what}: {error}')
    return UserError(
        f'{what}: {type(error).__name__}: {error}. Its config: '
        f'{json.dumps(config, default=str)}'
    )


def knn_settings(
    cfg: Config, folders: str = '--bank and --query'
) -> dict[str, Any]:
    """Data and numbers of the kNN evaluation that a config stands for.

    Arguments of its OnlineKNNHook, or ``bank`` and ``query`` alone; of a
    classifier the training images, seen through the pipeline of the
    validation images, are the bank, and the validation images the queries.

    Args:
        cfg: The config.
        folders: Options that name folders instead, for messages.

    Raises:
        UserError: It has neither.
    """
    if hook := find_hook(cfg, 'OnlineKNNHook'):
        return dict(hook)
    if not (cfg.get('train_dataloader') and cfg.get('val_dataloader')):
        raise UserError(
            'the config names no labelled images: give two folders of class '
            f'folders ({folders}), take a config of a classifier '
            '(configs/sce/benchmarks), or add default_hooks = '
            "dict(online_knn=dict(type='OnlineKNNHook', bank=dict("
            'batch_size=..., num_workers=..., dataset=dict(...)), '
            'query=dict(...)))'
        )
    query = cfg.val_dataloader
    unaugmented = {'pipeline': query.dataset.pipeline}
    bank = {
        'batch_size': query.batch_size,
        'num_workers': query.num_workers,
        'dataset': {**cfg.train_dataloader.dataset, **unaugmented},
    }
    return {'bank': bank, 'query': query}


def labelled_loaders(cfg: Config) -> tuple[DataLoader, DataLoader]:
    """Bank and query set of :func:`knn_settings`."""
    settings = knn_settings(cfg)
    return build_labelled_loaders(
        settings['bank'], settings['query'], seed_of(cfg)
    )


def seed_of(cfg: Config) -> int:
    """Seed of a config, 0 if it names none."""
    return (cfg.get('randomness') or {}).get('seed') or 0
