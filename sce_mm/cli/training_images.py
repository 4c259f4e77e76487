"""Check, once the training images are loaded, that an epoch is not empty."""

from typing import Any

from mmengine.runner import Runner
from torch.utils.data import DataLoader

from ..analysis.training_plan import fitting_batch
from ..config import ConfigError
from ..datasets.images.regions import count_distinct
from ..datasets.samplers import SeededSampler
from ..models import SCE
from ..models.utils.memory_queue import fitting_length
from ..utils.distributed import unwrapped
from ..utils.errors import UserError
from ..utils.random_state import preserve_rng
from .exit import message_of, naming
from .runner import not_built

# Sets a batch.
SMALLER = '--cfg-options train_dataloader.batch_size={batch}'


def require_batches(
    runner: Runner,
    source: str = 'train_dataloader.dataset',
    smaller: str = SMALLER,
) -> None:
    """Build the training data and check that an epoch is not empty.

    Args:
        runner: Runner that has not begun.
        source: Option or key that named the images, for messages.
        smaller: Words that set a ``{batch}``, likewise.

    Raises:
        ConfigError: There are no images.
        UserError: There are fewer images than one batch takes; repetitions
            do not count where no image may be twice in a batch, but regions
            of images do. Or, in pretraining, a batch of one image, or one
            that cannot be prepared.
    """
    loader = _build_loader(runner, source)
    batch, processes = loader.batch_sampler.batch_size, runner.world_size
    images = total = len(loader.dataset)
    if isinstance(loader.sampler, SeededSampler):
        images = count_distinct(loader.dataset)
    model = unwrapped(runner.model)
    pretrains = isinstance(model, SCE)
    if (
        len(loader) == 0
        or images < min(total, batch * processes)
        or (pretrains and images < 2)
    ):
        fits = images // processes
        fits = min(fitting_batch(fits, 16), fits)
        words = smaller.format(batch=fits)
        if pretrains and model.queue is not None:
            accumulated = runner.optim_wrapper.get('accumulative_counts', 1)
            views = model.num_target_views
            keys = fits * processes * accumulated * views
            length = fitting_length(images, keys) or keys
            words += ' --cfg-options' * ('--cfg-options' not in words)
            words += f' model.queue.length={length}'
        several = f'{processes} x ' * (processes > 1)
        advice = f', or a smaller batch, for example {words}' * (fits > 1)
        raise UserError(
            f'{source}: too few images for one full batch ({images} of '
            f'{several}{batch}): use more images{advice}'
        )
    if pretrains:
        share = len(loader.sampler)
        if share % batch == 1 and not loader.batch_sampler.drop_last:
            raise UserError(
                f'train_dataloader.batch_size: {share} images in batches of '
                f'{batch} leave one by itself, which has no batch statistics: '
                'use another size, or train_dataloader.drop_last=True'
            )
        _require_views(loader, source)


def _build_loader(runner: Runner, source: str) -> Any:
    try:
        return runner.train_dataloader
    except (OSError, ValueError) as error:
        message = message_of(error)
        if message is None:
            raise
        if isinstance(error, FileNotFoundError) and source != '--data':
            message += '; --data DIR names another one'
        raise ConfigError(f'{source}: {message}') from error
    except (TypeError, KeyError, AttributeError) as error:
        raise ConfigError(
            f'train_dataloader cannot be built: {not_built(error)}'
        ) from error


def _require_views(loader: DataLoader, source: str) -> None:
    """Prepare one image here, as an error of a worker is hard to read."""
    with preserve_rng(), naming(source):
        try:
            sample = loader.dataset[0]
        except (KeyError, TypeError, AttributeError, AssertionError) as e:
            raise ConfigError(
                'train_dataloader.dataset.pipeline: an image cannot be '
                f'prepared: {type(e).__name__}: {e}'
            ) from e
    if not isinstance(sample, dict) or 'inputs' not in sample:
        raise ConfigError(
            'train_dataloader.dataset.pipeline: an image comes out '
            'without inputs for the model; a pretraining makes views by '
            'SCEViews, and PackInputs packs them'
        )
