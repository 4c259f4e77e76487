"""From a command line to a Runner: what training and testing share."""

import argparse
import copy
import logging
import os
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..config.check import check_sense
from ..config.names import ConfigError, check_config
from ..config.reading import override, read_config
from ..datasets.labelled_images import share_labels
from ..datasets.samplers import SeededSampler, count_images
from ..engine.hooks import InitialWeightsHook
from ..engine.runner.cpu_ddp import use_gloo
from ..models import SCE
from ..utils.distributed import unwrapped
from ..utils.errors import UserError
from ..utils.random_state import preserve_rng
from .config_edits import (
    drop_disabled_hooks,
    fit_precision,
    fit_warmup,
    planned_epochs,
)
from .exit import is_first_process, message_of
from .held_output import release_output


def load_config(args: argparse.Namespace) -> Config:
    """Config of a parsed command line, with its overrides.

    Raises:
        FileNotFoundError: There is no such config.
        ConfigError: The config cannot be read, or an override has a key that
            nothing would read.
        UserError: The launcher that was named has not started this process.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    _require_launcher(args.launcher)
    cfg = read_config(args.config)
    before = planned_epochs(cfg)
    override(cfg, args.cfg_options)
    note = fit_warmup(cfg, before, args.cfg_options)
    if note and is_first_process():
        print_log(note, logger='current', level=logging.WARNING)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    return cfg


def _require_launcher(launcher: str) -> None:
    needed = {'pytorch': 'RANK', 'slurm': 'SLURM_PROCID'}.get(launcher)
    if needed and needed not in os.environ:
        raise UserError(
            f'--launcher {launcher}: this process was not started by it '
            f'({needed} is not set): use tools/dist_train.sh, '
            'tools/slurm_train.sh, or those of tests'
        )


class _ReleaseOutputHook(Hook):
    """Ends the silence before the first step or evaluation."""

    priority = 'HIGH'

    def before_train(self, runner: Runner) -> None:
        release_output()

    before_val = before_test = before_train


def build_runner(cfg: Config, training: bool = True) -> Runner:
    """Runner of a config, on whatever devices there are.

    Args:
        cfg: Config; its precision becomes one that the device has.
        training: Whether it will train; testing needs no training images.

    Raises:
        ConfigError: The config has names that nothing would read, or, for
            pretraining, anything that cannot work.
    """
    note = fit_precision(cfg, get_device()) if training else ''
    if training:
        check_sense(cfg)
    else:
        check_config(cfg)
    drop_disabled_hooks(cfg)
    _share_labels(cfg, training)
    if cfg.launcher != 'none' and not torch.cuda.is_available():
        use_gloo(cfg)
    if 'runner_type' in cfg:
        runner = RUNNERS.build(cfg)
    else:
        try:
            runner = Runner.from_cfg(cfg)
        except (TypeError, KeyError, AttributeError) as error:
            raise ConfigError(
                f'the config cannot be built: {type(error).__name__}: {error}'
            ) from error
    runner.register_hook(_ReleaseOutputHook())
    if isinstance(unwrapped(runner.model), SCE) and not any(
        isinstance(hook, InitialWeightsHook) for hook in runner.hooks
    ):
        # Configs with hooks of their own: nothing loads loosely in these too.
        runner.register_hook(InitialWeightsHook())
    if note:
        runner.logger.warning(note)
    return runner


def _share_labels(cfg: Config, training: bool) -> None:
    """Number the class folders of all parts as those of the training part."""
    measured = [
        cfg[f'{part}_dataloader'].dataset
        for part in ('val', 'test')
        if cfg.get(f'{part}_dataloader')
    ]
    reference = (cfg.get('train_dataloader') or {}).get('dataset')
    if not measured:
        return
    try:
        share_labels(reference, *measured)
    except FileNotFoundError:
        # Testing needs no training images.
        if training:
            raise
        share_labels(None, *measured)


def require_batches(
    runner: Runner, source: str = 'train_dataloader.dataset'
) -> None:
    """Build the training data and see that an epoch is not empty.

    Args:
        runner: Not yet training.
        source: What named the images, for messages.

    Raises:
        ConfigError: There are no images.
        ValueError: There are fewer images than one batch takes; repetitions
            do not count where no image may be twice in a batch. Or, in
            pretraining, a batch of one image, or one that cannot be prepared.
    """
    try:
        loader = runner.train_dataloader
    except (FileNotFoundError, UserError) as error:
        raise ConfigError(f'{source}: {message_of(error)}') from error
    batch = loader.batch_sampler.batch_size
    images = total = len(loader.dataset)
    if isinstance(loader.sampler, SeededSampler):
        images = count_images(loader.dataset)
    pretrains = isinstance(unwrapped(runner.model), SCE)
    if pretrains and images < 2:
        raise ValueError(
            f'{images} image(s) to train on: SCE compares images with each '
            'other and needs two at the very least, better thousands'
        )
    if len(loader) == 0 or images < min(total, batch * runner.world_size):
        fits = max(1, min(16, images // runner.world_size))
        raise ValueError(
            f'{images} images are not one full batch of {batch} '
            f'on each of {runner.world_size} process(es): use a smaller one, '
            f'for example --cfg-options train_dataloader.batch_size={fits} '
            f'model.queue.length={16 * fits * runner.world_size}'
        )
    if pretrains:
        _refuse_single_images(runner)
        _prepare_one(loader.dataset)


def _refuse_single_images(runner: Runner) -> None:
    """See that batch norm of the embeddings gets two images at least."""
    loader, model = runner.train_dataloader, unwrapped(runner.model)
    batch = loader.batch_sampler.batch_size
    share = len(loader.sampler)
    rest = 0 if loader.batch_sampler.drop_last else share % batch
    norms = [
        module
        for part in (model.neck, model.head)
        for module in part.modules()
        if isinstance(module, _BatchNorm)
        and not (
            isinstance(module, nn.SyncBatchNorm) and runner.world_size > 1
        )
    ]
    if norms and 1 in (batch, rest):
        raise ValueError(
            'train_dataloader.batch_size: batch norm needs two images or '
            f'more, but {share} images in batches of {batch} leave one by '
            'itself: use another size, or train_dataloader.drop_last=True'
        )


def _prepare_one(dataset: Any) -> None:
    """Send an image through the pipeline before workers do."""
    with preserve_rng():
        try:
            dataset[0]
        except (KeyError, TypeError, AttributeError, AssertionError) as error:
            raise ConfigError(
                'train_dataloader.dataset.pipeline: an image cannot be '
                f'prepared: {type(error).__name__}: {error}'
            ) from error


def scale_learning_rate(runner: Runner) -> None:
    """Scale the learning rate to the real batch, if the config asks for it.

    Linearly, from ``auto_scale_lr.base_batch_size``, the batch that the
    rate of the config belongs to. mmengine's own scaling leaves out
    accumulated batches and does not say what the rate becomes. A run that is
    resumed goes on with the rate in its checkpoint.

    Args:
        runner: Before its optimiser is built.
    """
    options = runner.auto_scale_lr
    if not options or not options.get('enable'):
        return
    batch = runner.train_dataloader.batch_sampler.batch_size
    wrapper = copy.deepcopy(runner.optim_wrapper)
    accumulated = wrapper.get('accumulative_counts', 1)
    real = runner.world_size * batch * accumulated
    base = options['base_batch_size']
    old = wrapper['optimizer']['lr']
    new = wrapper['optimizer']['lr'] = old * real / base
    print_log(
        f'--auto-scale-lr: learning rate {old:g} -> {new:g}, as the batch is '
        f'{real} images ({runner.world_size} process(es) x {batch} x '
        f'{accumulated} accumulated) and that of the config {base}',
        logger='current',
    )
    runner.optim_wrapper = wrapper
    runner.auto_scale_lr = None
