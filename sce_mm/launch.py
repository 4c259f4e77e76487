"""From a command line to a Runner: what training and testing share."""

import argparse
import copy
import os
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction
from mmengine.dist import is_distributed
from mmengine.logging import print_log
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.registry import MODEL_WRAPPERS, RUNNERS
from mmengine.runner import Runner
from torch import nn

from .config_check import ConfigError, check_config, check_overrides
from .config_sense import check_sense
from .datasets.samplers import SeededSampler, count_images


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that every OpenMMLab tool has."""
    parser.add_argument(
        '--work-dir',
        help='where logs and checkpoints go; by default '
        'work_dirs/<name of the config>',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='overrides of the config, key=value with dots in the key',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how the processes of a distributed run were started',
    )
    parser.add_argument(
        '--trust',
        action='store_true',
        help='unpickle checkpoints freely: only for files of people that you '
        'would let run programs on this machine',
    )
    # torchrun may pass it in either spelling.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def load_config(args: argparse.Namespace) -> Config:
    """Config of a parsed command line, with its overrides.

    Raises:
        FileNotFoundError: There is no such config.
        ConfigError: An override has a key that nothing would read.
    """
    path = Path(args.config)
    if not path.is_file():
        raise FileNotFoundError(
            f'no config at {path}: the recipes are under configs/sce, the '
            'demo under configs/demo'
        )
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = Config.fromfile(path)
    check_overrides(cfg, args.cfg_options)
    cfg.merge_from_dict(args.cfg_options)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / path.stem)
    return cfg


def set_pretrained(cfg: Config, path: str) -> None:
    """Point all that takes pretrained weights to another file.

    In classifiers that is a hook; in detectors the backbone and, in those of
    the C4 kind, the head of the regions as well.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The config loads no backbone.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'no backbone file at {path}')
    for hook in cfg.get('custom_hooks', []):
        if hook['type'] == 'PretrainedBackboneHook':
            hook['checkpoint'] = path
            return
    parts = [cfg.model.get('backbone')]
    if shared := (cfg.model.get('roi_head') or {}).get('shared_head'):
        parts.append(shared)
    for part in parts:
        init_cfg = (part or {}).get('init_cfg') or {}
        if init_cfg.get('type') != 'Pretrained':
            raise ValueError(
                '--pretrained is for configs that load a backbone, but '
                f'{(part or {}).get("type")} of this one has init_cfg='
                f'{init_cfg or None}: make one that does with '
                'tools/make_detection_config.py'
            )
        init_cfg['checkpoint'] = path


def build_runner(cfg: Config, training: bool = True) -> Runner:
    """Runner of a config, on whatever devices there are.

    Args:
        cfg: Config.
        training: Whether it will train; testing needs no training images.

    Raises:
        ConfigError: The config has names that nothing would read, or, for
            pretraining, anything that cannot work.
    """
    check_config(cfg)
    if training:
        check_sense(cfg)
    if cfg.launcher != 'none' and not torch.cuda.is_available():
        _use_gloo(cfg)
    if 'runner_type' in cfg:
        return RUNNERS.build(cfg)
    try:
        return Runner.from_cfg(cfg)
    except (TypeError, KeyError, AttributeError) as error:
        raise ConfigError(
            f'the config cannot be built: {type(error).__name__}: {error}'
        ) from error


def set_data(cfg: Config, folders: list[str]) -> None:
    """Point the innermost training data set to other folders.

    Raises:
        ValueError: The config trains on something else than a folder.
    """
    dataset = cfg.train_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    if dataset.type != 'UnlabelledImages':
        raise ValueError(
            f'--data takes a folder of unlabelled images, but this config '
            f'trains on {dataset.type}: use a config that ends in _folder, '
            'or set train_dataloader.dataset through --cfg-options'
        )
    dataset.data_root = folders if len(folders) > 1 else folders[0]
    dataset.pop('ann_file', None)


def require_batches(runner: Runner) -> None:
    """Build the training data and see that an epoch is not empty.

    Raises:
        ValueError: There are fewer images than one batch takes; repetitions
            do not count where no image may be twice in a batch.
    """
    loader = runner.train_dataloader
    batch = loader.batch_sampler.batch_size
    images = total = len(loader.dataset)
    if isinstance(loader.sampler, SeededSampler):
        images = count_images(loader.dataset)
    if len(loader) == 0 or images < min(total, batch * runner.world_size):
        raise ValueError(
            f'{images} images are not one full batch of {batch} '
            f'on each of {runner.world_size} process(es): use a smaller one, '
            'for example --cfg-options train_dataloader.batch_size=16 '
            'model.queue.length=256'
        )


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


def _use_gloo(cfg: Config) -> None:
    """Distributed training without GPUs.

    mmengine selects a GPU before it starts any backend, so the processes are
    connected here, which only torchrun's environment allows.

    Raises:
        ValueError: The launcher is another one.
    """
    if cfg.launcher != 'pytorch':
        raise ValueError(
            f'--launcher {cfg.launcher} needs GPUs and found none: on CPU '
            'use tools/dist_train.sh, which starts --launcher pytorch'
        )
    if not is_distributed():
        torch.distributed.init_process_group('gloo')
    cfg.model_wrapper_cfg = dict(
        type='CPUDistributedDataParallel',
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )


@MODEL_WRAPPERS.register_module()
class CPUDistributedDataParallel(MMDistributedDataParallel):
    """Data parallelism over gloo, without synchronised batch norm.

    PyTorch has synchronised batch norm for GPUs only.

    Args:
        module: Model.
        device_ids: Not used; some runners name a GPU without asking.
        **kwargs: See the base class.
    """

    def __init__(
        self,
        module: nn.Module,
        device_ids: list[int] | None = None,
        **kwargs: Any,
    ) -> None:
        if any(isinstance(m, nn.SyncBatchNorm) for m in module.modules()):
            print_log(
                'SyncBN works on GPUs only: each process normalises its own '
                'part of the batch',
                logger='current',
            )
            module = revert_sync_batchnorm(module)
        super().__init__(module, broadcast_buffers=False, **kwargs)
