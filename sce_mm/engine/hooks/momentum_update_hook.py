"""Update the momentum encoder and the queue after each optimiser step."""

import math
from collections.abc import Sequence, Sized
from typing import Any, cast

from mmengine.dist import broadcast, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch.utils.data import BatchSampler, DataLoader

from ...datasets.images.regions import count_distinct
from ...models.heads.dense_sce_head import DENSE_VIEWS
from ...models.utils.memory_queue import check_queue_length, fitting_length
from ...utils.errors import UserError
from ..runner.training import unwrap_sce
from ..schedulers.schedules import (
    Schedule,
    accumulation,
    check_phases,
    current_step,
    schedule_of,
    values_of,
)


@HOOKS.register_module()
class MomentumUpdateHook(Hook):
    """Average the parameters and enqueue the keys after each optimiser step.

    With gradient accumulation that is once in several iterations. The value
    is a closed form of the step, nothing needs to be saved for a resume.

    Args:
        momentum: A number in [0, 0.5], or phases of a schedule, see
            :func:`~sce_mm.engine.schedulers.schedules.build_schedule`.
            Defaults to the ImageNet recipe, 0.01 falling to zero along a
            cosine (0.99 to 1 in the paper's convention).

    Raises:
        UserError: A momentum is not in [0, 0.5].
    """

    priority = 'NORMAL'
    _schedule: Schedule

    def __init__(
        self, momentum: float | dict | Sequence[dict] | None = None
    ) -> None:
        if momentum is None:
            momentum = {'kind': 'cosine', 'start': 0.01, 'end': 0.0}
        if isinstance(momentum, int | float):
            momentum = {'kind': 'constant', 'value': momentum}
        self.phases = check_phases(momentum)
        for value in values_of(self.phases):
            if not 0 <= value <= 0.5:
                raise UserError(
                    f'momentum must be in [0, 0.5], got {value}: momentum is '
                    'the weight of the online parameters, the small number, '
                    'as everywhere in mmengine: for a decay of 0.99 write 0.01'
                )

    def before_train(self, runner: Runner) -> None:
        """Check that model, batch, queue and images fit together."""
        model = unwrap_sce(runner, type(self).__name__)
        self._schedule = schedule_of(runner, self.phases)
        model.micro_batches_per_step = accumulation(runner)
        encoder = model.momentum_encoder
        encoder.check_batches(batch_sizes(runner.train_dataloader))
        # A resumed run goes on with the shuffles of an uninterrupted one.
        encoder.shuffle_count = runner.iter * model.num_target_views
        factors = {
            'images': runner.train_dataloader.batch_sampler.batch_size,
            'processes': get_world_size(),
            'accumulated_batches': accumulation(runner),
            'target_views': model.num_target_views,
        }
        samples = count_distinct(runner.train_dataloader.dataset)
        if model.queue is not None:
            check_queue_length(model.queue.length, **factors)
            if model.queue.length > samples:
                warning = own_keys_warning(
                    model.queue.length, samples, math.prod(factors.values())
                )
                runner.logger.warning(warning)
            # Rows not yet written are random: the same on every process.
            broadcast(model.queue.features, src=0)
        if model.dense_queue is not None and model.dense_head is not None:
            length, option = model.dense_queue.length, 'model.dense_queue'
            places = model.dense_head.keys_per_image
            factors |= {
                'target_views': min(DENSE_VIEWS, model.num_target_views),
                'places': places,
            }
            check_queue_length(length, f'{option}.length', **factors)
            if length > samples * places:
                advice = shorter_queue(
                    option,
                    'model.dense_head',
                    samples * places,
                    math.prod(factors.values()),
                )
                runner.logger.warning(
                    f'the dense queue holds {length} keys, {places} of an '
                    f'image, and an epoch has {samples} samples: the target '
                    'of a place lies on older keys of its own image; use more '
                    f'images, or --cfg-options {advice}'
                )
            broadcast(model.dense_queue.features, src=0)

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """Update the momentum branch if an optimiser step was just made."""
        if not runner.optim_wrapper.should_update():
            return
        momentum = self._schedule(current_step(runner))
        unwrap_sce(runner, type(self).__name__).after_optimizer_step(momentum)
        runner.message_hub.update_scalar('train/momentum', momentum)


def own_keys_warning(length: int, samples: int, keys: int) -> str:
    """The warning about a queue that is longer than an epoch."""
    advice = shorter_queue('model.queue', 'model.head', samples, keys)
    return (
        f'the queue holds {length} keys of {samples} different samples '
        f'(images, or regions of them), {length / samples:.3g} of each, so '
        'that a sample is mostly compared with its own older keys: use more '
        'images, regions of them (--regions), or '
        f'--cfg-options {advice}'
    )


def shorter_queue(queue: str, head: str, epoch: int, keys: int) -> str:
    """Options for a queue that is no longer than an epoch.

    Args:
        queue: Where the queue is set.
        head: Where its head is set.
        epoch: Keys that an epoch brings, one view of each sample.
        keys: Keys that a step brings; the queue has to hold them.
    """
    length = fitting_length(epoch, keys)
    if not length:
        return f'{queue}=None {head}.in_batch_keys=True'
    return f'{queue}.length={length}'


def batch_sizes(loader: DataLoader) -> set[int]:
    """Numbers of images that a batch of a loader has."""
    batches = cast(BatchSampler, loader.batch_sampler)
    last = len(cast(Sized, batches.sampler)) % batches.batch_size
    short = {last} if last and not batches.drop_last else set()
    return {batches.batch_size} | short
