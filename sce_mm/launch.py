"""From a command line to a Runner: what training and testing share."""

import argparse
import copy
import os
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from .command_line import add_shared_arguments
from .config_check import ConfigError, check_config, check_overrides
from .config_reading import read_config
from .config_sense import check_sense
from .cpu_processes import use_gloo
from .datasets.samplers import SeededSampler, count_images
from .engine.hooks import InitialWeightsHook
from .evaluation.rng import preserve_rng
from .models import SCE
from .models.utils import unwrapped


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that every OpenMMLab tool has."""
    parser.add_argument(
        '--work-dir',
        help='where logs and checkpoints go; by default '
        'work_dirs/<name of the config>',
    )
    add_shared_arguments(parser)
    # torchrun may pass it in either spelling.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def load_config(args: argparse.Namespace) -> Config:
    """Config of a parsed command line, with its overrides.

    Raises:
        FileNotFoundError: There is no such config.
        ConfigError: The config cannot be read, or an override has a key that
            nothing would read.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config)
    check_overrides(cfg, args.cfg_options)
    try:
        cfg.merge_from_dict(args.cfg_options)
    # An index beyond a list, or a key below a number.
    except (KeyError, TypeError) as error:
        raise ConfigError(f'--cfg-options: {error.args[0]}') from error
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    return cfg


def build_runner(cfg: Config, training: bool = True) -> Runner:
    """Runner of a config, on whatever devices there are.

    Args:
        cfg: Config.
        training: Whether it will train; testing needs no training images.

    Raises:
        ConfigError: The config has names that nothing would read, or, for
            pretraining, anything that cannot work.
    """
    if training:
        check_sense(cfg)
    else:
        check_config(cfg)
    if cfg.launcher != 'none' and not torch.cuda.is_available():
        use_gloo(cfg)
    if 'runner_type' in cfg:
        return RUNNERS.build(cfg)
    try:
        runner = Runner.from_cfg(cfg)
    except (TypeError, KeyError, AttributeError) as error:
        raise ConfigError(
            f'the config cannot be built: {type(error).__name__}: {error}'
        ) from error
    if isinstance(unwrapped(runner.model), SCE) and not any(
        isinstance(hook, InitialWeightsHook) for hook in runner.hooks
    ):
        # Configs with hooks of their own: nothing loads loosely in these too.
        runner.register_hook(InitialWeightsHook())
    return runner


def require_batches(runner: Runner) -> None:
    """Build the training data and see that an epoch is not empty.

    Raises:
        ValueError: There are fewer images than one batch takes; repetitions
            do not count where no image may be twice in a batch. Or, in
            pretraining, a batch of one image, or one that cannot be prepared.
    """
    loader = runner.train_dataloader
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
