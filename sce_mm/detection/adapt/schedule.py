"""Learning rate for the batch that there will be."""

from ...config.machine import rate_factor
from .plan import ABSENT, AdaptError, Plan, kind

OPTIMIZER = 'optim_wrapper.optimizer'
RATE = f'{OPTIMIZER}.lr'


def adapt_schedule(plan: Plan, processes: int, batch: int | None) -> str:
    """Scale the rate; warm-up and milestones stay.

    Args:
        plan: Changed.
        processes: Usually GPUs.
        batch: Images of each; None for those of the config.

    Returns:
        A line about batch and rate.

    Raises:
        AdaptError: The config does not say what batch its rate belongs to.
    """
    if batch is not None:
        plan.set('train_dataloader.batch_size', batch, 'as asked for')
    batch = plan.get('train_dataloader.batch_size')
    if not isinstance(batch, int):
        raise AdaptError(
            'the config has no train_dataloader.batch_size: say --batch'
        )
    rate, base = plan.get(RATE), plan.get('auto_scale_lr.base_batch_size')
    if not isinstance(rate, int | float):
        raise AdaptError(
            f'the config has no {RATE}: a rate for each of several '
            'optimisers cannot be scaled here'
        )
    if base is ABSENT:
        raise AdaptError(
            f'the config does not say for what batch its learning rate '
            f'{rate} is: add auto_scale_lr = dict(base_batch_size=16) with '
            'that number to it'
        )
    steps = plan.get('optim_wrapper.accumulative_counts')
    steps = 1 if steps is ABSENT else steps
    total = processes * batch * steps
    scale, law = rate_factor(total / base, kind(plan.get(OPTIMIZER)))
    line = f'{processes} process(es) x {batch} images'
    line += f' x {steps} accumulated' if steps > 1 else ''
    if scale != 1:
        reason = f'for {line}; the {rate} of the config is for {base}; {law}'
        # Ten digits: 0.02 * 12 / 16 is not quite 0.015.
        plan.set(RATE, float(f'{rate * scale:.10g}'), reason)
        plan.set(
            'auto_scale_lr',
            {'enable': False, 'base_batch_size': total},
            'the batch that this rate is for; not to be scaled again',
        )
        _scale_bounds(plan, scale)
        _note_iterations(plan)
    _note_groups(plan)
    return f'learning rate {plan.get(RATE)} for {line}'


def _scale_bounds(plan: Plan, scale: float) -> None:
    """Rates of a schedule, where they are absolute."""
    schedulers = plan.get('param_scheduler')
    single = isinstance(schedulers, dict)
    if schedulers in (ABSENT, None):
        schedulers = []
    for i, scheduler in enumerate([schedulers] if single else schedulers):
        where = 'param_scheduler' + ('' if single else f'[{i}]')
        for key in ('eta_min', 'eta_max'):
            bound = scheduler.get(key)
            if bound:
                plan.set(
                    f'{where}.{key}',
                    float(f'{bound * scale:.10g}'),
                    'scaled as the rate it is a bound of',
                )


def _note_iterations(plan: Plan) -> None:
    iterations = plan.get('train_cfg.max_iters')
    if iterations not in (ABSENT, None):
        plan.notes.append(
            f'{iterations} iterations see another number of images with '
            'another batch: look at max_iters and milestones'
        )


def _note_groups(plan: Plan) -> None:
    groups = plan.get('optim_wrapper.paramwise_cfg.custom_keys')
    if groups in (ABSENT, None):
        return
    for name, options in groups.items():
        factor = options.get('lr_mult')
        if 'backbone' not in name or factor is None:
            continue
        if factor == 0:
            raise AdaptError(
                f'optim_wrapper.paramwise_cfg gives {name} a learning rate '
                'of zero: such weights have to be trained; take it out'
            )
        plan.notes.append(
            f'{name} learns at {factor} of the rate, as this family has it'
        )
