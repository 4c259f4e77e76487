"""Make the learning rate of a training follow the batch that there is."""

import argparse
import copy

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner

from ..config.counts import processes, step_images
from ..config.parts import type_name
from ..config.rate_batch import batch_of_rate, rate_factor
from ..utils.errors import UserError
from ..utils.progress import warn
from ..utils.text import counted
from .config_edits import overridden
from .run_start import goes_on, may_go_on

# Keys of a config.
RATE = 'optim_wrapper.optimizer.lr'
_BASE = 'auto_scale_lr.base_batch_size'


def set_rate_batch(cfg: Config, args: argparse.Namespace) -> list[str]:
    """Write into a config for which batch its learning rate is.

    The config may inherit the batch of another rate, see
    :func:`~sce_mm.config.rate_batch.batch_of_rate`. That of the command line
    stays.

    Returns:
        A sentence on what was changed, or on what is not certain about a rate
        that is about to be scaled; nothing if it is clear.
    """
    given = overridden(args.cfg_options)
    if _BASE in given:
        return []
    found = batch_of_rate(
        str(cfg.filename), cfg, processes(cfg), args.batch_size
    )
    options = cfg.get('auto_scale_lr') or {}
    before = options.get('base_batch_size')
    if found.images not in (None, before):
        cfg.merge_from_dict({_BASE: found.images})
        return [
            f'{_BASE} {before} -> {found.images}: the learning rate '
            f'{cfg.optim_wrapper.optimizer.lr} is taken to be for this '
            f'batch, {found.reason}'
        ]
    scales = (
        args.auto_scale_lr
        or options.get('enable')
        or (args.batch_size and RATE not in given)
    )
    if not scales or may_go_on(args) or not found.doubtful:
        return []
    planned = copy.deepcopy(cfg)
    if args.batch_size:
        planned.train_dataloader.batch_size = args.batch_size
    step = step_images(planned)
    if step == before:
        return []
    return [
        f'the learning rate {cfg.optim_wrapper.optimizer.lr} is taken to be '
        f'for a batch of {before}, by the auto_scale_lr that the config '
        f'inherits, and scaled to {step}. If it is for {step} already, add '
        f'--cfg-options {_BASE}={step}, which leaves it as it is'
    ]


def names_base_batch(cfg: Config) -> bool:
    """Whether a config says which batch its learning rate belongs to."""
    return 'base_batch_size' in (cfg.get('auto_scale_lr') or {})


def enable_lr_scaling(cfg: Config) -> None:
    """Ask for a learning rate that is scaled to the real batch.

    Raises:
        UserError: The config does not say which batch its rate belongs to.
    """
    if not names_base_batch(cfg):
        raise UserError(
            '--auto-scale-lr needs the batch size that the learning rate '
            'belongs to: add auto_scale_lr = dict(base_batch_size=...) to '
            'the config'
        )
    cfg.auto_scale_lr.enable = True


def scale_learning_rate(runner: Runner) -> None:
    """Scale the learning rate to the real batch, if the config asks for it.

    By :func:`~sce_mm.config.rate_batch.rate_factor` from
    ``auto_scale_lr.base_batch_size``, the batch that the rate of the config
    belongs to. If the config does not ask, another batch is a warning in the
    log. mmengine's own scaling leaves out accumulated batches and does not
    say what the rate becomes. A run that is resumed goes on with the rate
    in its checkpoint, and is told so when that is read. The optimiser must
    not be built yet.
    """
    options = runner.auto_scale_lr or {}
    wrapper = copy.deepcopy(runner.optim_wrapper)
    optimizer = wrapper.get('optimizer') or {}
    batch = runner.train_dataloader.batch_sampler.batch_size
    accumulated = wrapper.get('accumulative_counts', 1)
    real = runner.world_size * batch * accumulated
    base, old = options.get('base_batch_size', real), optimizer.get('lr')
    if old is None or (base == real and not options.get('enable')):
        return
    product = ''
    if real != batch:
        processes = counted(runner.world_size, 'process', 'processes')
        product = f' ({processes} x {batch} x {accumulated} accumulated)'
    batches = (
        f'{counted(real, "image")}{product} and that of the config {base}'
    )
    told = not goes_on(runner.cfg)
    if not options.get('enable'):
        if not told:
            return
        warn(
            f'the batch is {batches}, the learning rate as in the config, '
            f'{old:g}: --auto-scale-lr scales it'
        )
        return
    factor, law = rate_factor(real / base, type_name(optimizer))
    optimizer['lr'] = float(f'{old * factor:.10g}')
    if told:
        print_log(
            f'--auto-scale-lr: learning rate {old:g} -> {optimizer["lr"]:g}, '
            f'{law}, as the batch is {batches}',
            logger='current',
        )
    runner.optim_wrapper = wrapper
    runner.auto_scale_lr = None
