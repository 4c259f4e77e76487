"""Count what an optimiser step takes and brings: processes, images, keys."""

import inspect
import math
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from ..models.algorithms.sce import SCE
from ..models.heads.dense_sce_head import DENSE_VIEWS, KEYS_PER_IMAGE
from ..utils.processes import process_count
from .errors import ConfigError


def processes(cfg: Config) -> int:
    """Number of processes that the launcher has started."""
    return process_count(cfg.get('launcher', 'none'))


def target_views(cfg: Config) -> int:
    """How many views of an image give keys."""
    default = inspect.signature(SCE).parameters['num_target_views'].default
    return cfg.model.get('num_target_views', default)


def accumulated(cfg: Config) -> Any:
    """Batches of an optimiser step; whatever value the config gives."""
    return (cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1)


def step_images(cfg: Config) -> int:
    """Images of an optimiser step of all processes.

    Raises:
        ConfigError: One of the numbers is no count.
    """
    counts = {
        'train_dataloader.batch_size': cfg.train_dataloader.batch_size,
        'optim_wrapper.accumulative_counts': accumulated(cfg),
    }
    for key, count in counts.items():
        if type(count) is not int or count < 1:
            raise ConfigError(f'{key}: {not_a_count(count, 1)}')
    return math.prod(counts.values()) * processes(cfg)


def queues(cfg: Config) -> Iterator[tuple[str, int, dict[str, int]]]:
    """Yield the option and length of each queue, and what a step brings.

    That is a product, of factors under the names that a message shows. None
    is yielded where one of them is no count, of which other checks tell.
    """
    factors = {
        'images': cfg.train_dataloader.batch_size,
        'processes': processes(cfg),
        'accumulated': accumulated(cfg),
        'target_views': target_views(cfg),
    }
    if not all(type(n) is int and n > 0 for n in factors.values()):
        return
    dense = {
        'target_views': min(target_views(cfg), DENSE_VIEWS),
        'places': (cfg.model.get('dense_head') or {}).get(
            'keys_per_image', KEYS_PER_IMAGE
        ),
    }
    for name, own in (('queue', {}), ('dense_queue', dense)):
        length = (cfg.model.get(name) or {}).get('length')
        if length is not None:
            yield f'model.{name}.length', length, factors | own


def not_a_count(value: object, least: int) -> str:
    """What is wrong with a value that must be a whole number."""
    return f'must be a whole number, {least} or more, got {value!r}'
