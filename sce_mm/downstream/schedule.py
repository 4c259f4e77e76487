"""Scale the learning rate of a config to the batch that there will be."""

from ..config.parts import type_name
from ..config.rate_batch import RateBatch, rate_factor
from ..config.reading import walk
from ..utils.text import counted
from .edits import AdaptError, ConfigEdits

OPTIMIZER = 'optim_wrapper.optimizer'
RATE = f'{OPTIMIZER}.lr'


def adapt_schedule(
    edits: ConfigEdits,
    processes: int,
    batch: int | None,
    rate_batch: RateBatch,
) -> str:
    """Scale the rate by the law of its optimiser; warm-up, milestones stay.

    Args:
        edits: The config.
        processes: Processes of the training, usually GPUs.
        batch: Images of each; None for those of the config.
        rate_batch: Batch that the rate of the config is for, see
            :func:`~sce_mm.config.rate_batch.batch_of_rate`.

    Returns:
        A line about batch and rate.

    Raises:
        AdaptError: The config does not say what batch its rate belongs to.
    """
    if batch is not None:
        edits.set('train_dataloader.batch_size', batch, 'as asked for')
    batch = edits.get('train_dataloader.batch_size')
    if not isinstance(batch, int):
        raise AdaptError(
            'the config has no train_dataloader.batch_size: say --batch'
        )
    rate = edits.get(RATE)
    said = edits.get('auto_scale_lr.base_batch_size')
    base = rate_batch.images or said
    if not isinstance(rate, int | float):
        raise AdaptError(
            f'the config has no {RATE}: a rate for each of several '
            'optimisers cannot be scaled here'
        )
    if base is None:
        raise AdaptError(
            f'the config does not say for what batch its learning rate '
            f'{rate} is: add to it auto_scale_lr = dict(base_batch_size=16), '
            'with the images of all GPUs together in the place of 16'
        )
    steps = edits.get('optim_wrapper.accumulative_counts') or 1
    total = processes * batch * steps
    optimizer = type_name(edits.get(OPTIMIZER))
    scale, law = rate_factor(total / base, optimizer)
    line = f'{counted(processes, "process", "processes")} x '
    line += counted(batch, 'image')
    line += f' x {steps} accumulated' if steps > 1 else ''
    if scale != 1:
        reason = (
            f'for a batch of {total} ({line}): {rate} is for {base}, scaled '
            f'{law}'
        )
        _scale(edits, RATE, scale, reason)
        _scale_bounds(edits, scale)
    _note_batch(edits, rate, rate_batch, total)
    if scale != 1 or (said and said != base):
        edits.set(
            'auto_scale_lr',
            {'enable': False, 'base_batch_size': total},
            f'the rate is now for a batch of {total}: not to be scaled again',
        )
    elif steps > 1 and edits.get('auto_scale_lr.enable'):
        edits.set(
            'auto_scale_lr.enable',
            False,
            f'the rate is for a batch of {total} ({line}), and mmengine '
            'counts no accumulation when it scales',
        )
    iterations = edits.get('train_cfg.max_iters')
    if iterations and total != base:
        edits.notes.append(
            f'{iterations} iterations of {total} images see '
            f'{total / base:.3g} times the images of the config: as many '
            f'would be {round(iterations * base / total)} iterations, with '
            'param_scheduler, val_interval and checkpoints in proportion'
        )
    return f'learning rate {edits.get(RATE)} for {line}'


def _note_batch(
    edits: ConfigEdits, rate: float, found: RateBatch, total: int
) -> None:
    """Note for what batch a rate is taken to be where that may be wrong."""
    said = edits.get('auto_scale_lr.base_batch_size')
    if said and found.images and said != found.images:
        edits.notes.append(
            f'the rate {rate} is taken to be for a batch of {found.images}, '
            f'{found.reason}, though auto_scale_lr has {said}'
        )
    if said != total and found.doubtful:
        edits.notes.append(
            f'the rate {rate} is taken to be for a batch of {said}, by the '
            'auto_scale_lr that the config inherits. If it is for another, '
            f'say {total}, write that beside it: auto_scale_lr = '
            f'dict(base_batch_size={total})'
        )


def _scale(edits: ConfigEdits, path: str, scale: float, reason: str) -> None:
    # Ten digits: 0.02 * 12 / 16 is not quite 0.015.
    edits.set(path, float(f'{edits.get(path) * scale:.10g}'), reason)


def _scale_bounds(edits: ConfigEdits, scale: float) -> None:
    """Scale the rates of a schedule that are absolute."""
    schedulers = edits.get('param_scheduler')
    for path, value in list(walk(schedulers, 'param_scheduler')):
        if path.endswith(('.eta_min', '.eta_max')) and value:
            _scale(edits, path, scale, 'scaled like the rate that it bounds')
