"""Build the Runner of a config and check its data before it trains."""

import copy
import logging
import re
import time
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from mmengine import registry
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.logging import MMLogger, print_log
from mmengine.registry import RUNNERS, Registry
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from torch.utils.data import DataLoader

from ..analysis.training_plan import fitting_batch
from ..checkpoints.errors import CheckpointError
from ..config import ConfigError, check_config
from ..config.machine import fit_precision, rate_factor
from ..config.parts import find_hook, type_name
from ..datasets.images.regions import count_distinct
from ..datasets.labelled_images import share_labels
from ..datasets.samplers import SeededSampler
from ..engine import (
    InitialWeightsHook,
    PretrainedBackboneHook,
    VerifyTransferHook,
)
from ..engine.hooks.deferred_log_hook import log_interval
from ..engine.runner.cpu_ddp import use_gloo
from ..models import SCE
from ..models.utils.memory_queue import fitting_length
from ..transfer.initial_weights import find_sources, load_weights
from ..transfer.verify.load_report import pretrained_init
from ..transfer.verify.pipelines import pipeline_problems
from ..transfer.verify.problems import is_of_pretraining
from ..utils.checks import did_you_mean
from ..utils.distributed import unwrapped
from ..utils.errors import UserError
from ..utils.progress import LINE_SECONDS, clock
from ..utils.random_state import preserve_rng
from ..utils.text import counted, listed
from .config_edits import drop_disabled_hooks
from .console import release_output
from .exit import message_of, naming
from .log_services import begin_services

# Sets a batch.
SMALLER = '--cfg-options train_dataloader.batch_size={batch}'
# How mmengine names what no registry has.
_UNKNOWN = re.compile(r'(\w+) is not in the (\w+)::([\w ]+) registry')
# What mmengine tells the authors of its own hooks, or says a second time.
_FOR_AUTHORS = re.compile(
    '"(FileClient|HardDiskBackend)" |Loads checkpoint by |Exp name: '
)
# Text of the newest config, by its content.
_LAID_OUT: dict[str, str] = {}
ROOTS = {
    parent.name: parent
    for parent in vars(registry).values()
    if isinstance(parent, Registry)
}


class FirstWordsHook(Hook):
    """Ends the silence before the first step or evaluation.

    Where half a minute of steps is not enough for a line of the log, it says
    once how fast they are and when the log begins.
    """

    priority = 'HIGH'

    def before_train(self, runner: Runner) -> None:
        """Release what the command says, and look at the clock."""
        release_output()
        self.done = 0
        self.interval = log_interval(runner)
        self.begun = time.monotonic() if self.interval else None

    def before_val(self, runner: Runner) -> None:
        """Release what the command says."""
        release_output()

    before_test = before_val

    def after_train_iter(
        self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any
    ) -> None:
        """Say how long the rest takes, unless the log is about to."""
        if self.begun is None:
            return
        self.done += 1
        seconds = time.monotonic() - self.begun
        logged = self.every_n_inner_iters(
            batch_idx, self.interval
        ) or self.end_of_epoch(runner.train_dataloader, batch_idx)
        if not logged and seconds < LINE_SECONDS:
            return
        self.begun = None
        if not logged:
            now, last = runner.iter + 1, runner.max_iters
            runner.logger.info(
                f'iteration {now} of {last}, '
                f'{clock(seconds / self.done * (last - now))} left; the log '
                f'has a line every {self.interval} iterations'
            )


class _QuietRunner(Runner):
    """Describes machine, config and hooks in the log file alone.

    Services that follow the run begin, or say why not, in our words.
    """

    def build_logger(self, *words: Any, **options: Any) -> MMLogger:
        """Build the logger of a run."""
        logger = super().build_logger(*words, **options)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(_for_console)
        return logger

    def build_visualizer(self, *words: Any, **options: Any) -> Visualizer:
        """Build what sends the numbers of a run to services."""
        visualizer = super().build_visualizer(*words, **options)
        begin_services(visualizer)
        return visualizer


class _LaidOutOnce(Config):
    """Config whose text is laid out again only after a change.

    A Runner asks for it five times before the first step, and with every
    checkpoint; laying it out takes a quarter of a second.
    """

    @property
    def pretty_text(self) -> str:
        """The config as the text of a file."""
        content = repr(self.to_dict())
        if content not in _LAID_OUT:
            _LAID_OUT.clear()
            _LAID_OUT[content] = super().pretty_text
        return _LAID_OUT[content]


def _for_console(record: logging.LogRecord) -> bool:
    """Whether a line of a log is for people who watch a run."""
    described = ('_log_env', '__init__', 'wrap_model')
    return not _FOR_AUTHORS.match(record.getMessage()) and (
        record.levelno > logging.INFO
        or record.module != 'runner'
        or record.funcName not in described
    )


def build_runner(cfg: Config, training: bool = True) -> Runner:
    """Runner of a config, on whatever devices there are.

    Args:
        cfg: Config; its precision becomes one that the device has.
        training: Whether it will train; testing needs no training images.

    Raises:
        ConfigError: The config has names that nothing would read, or, for
            training, anything that cannot work.
    """
    note = fit_precision(cfg, get_device()) if training else ''
    hooks = cfg.get('default_hooks') or {}
    name = 'verify_transfer'
    unverified = name in hooks and hooks[name] is None
    check_config(
        cfg, training, [wrong_classes, twice_normalised], [unfit_weights]
    )
    drop_disabled_hooks(cfg)
    _share_labels(cfg, training)
    if cfg.launcher != 'none' and not torch.cuda.is_available():
        use_gloo(cfg)
    copied = _LaidOutOnce()
    copied.__dict__.update(cfg.__dict__)
    if 'runner_type' in cfg:
        runner = RUNNERS.build(copied)
    else:
        try:
            runner = _QuietRunner.from_cfg(copied)
        except (TypeError, KeyError, AttributeError) as error:
            raise ConfigError(
                f'the config cannot be built: {_reason(error)}'
            ) from error
    runner.register_hook(FirstWordsHook())
    if isinstance(unwrapped(runner.model), SCE):
        # Configs with hooks of their own: nothing loads loosely in these too.
        if not _has_hook(runner, InitialWeightsHook):
            runner.register_hook(InitialWeightsHook())
    elif training and not unverified:
        _verify_backbone_file(runner)
    if note:
        runner.logger.warning(note)
    return runner


def _verify_backbone_file(runner: Runner) -> None:
    """Let a config that names a file of a pretraining compare it.

    mmengine drops what does not fit, and a config has its own channel order,
    without a word. What the config freezes is accepted, as a linear evaluation
    freezes on purpose. ``default_hooks.verify_transfer=None``
    trains without it.
    """
    if _has_hook(runner, VerifyTransferHook, PretrainedBackboneHook):
        return
    model = unwrapped(runner.model)
    named = {
        name: path
        for name, module in model.named_modules()
        if (path := pretrained_init(module).get('checkpoint'))
    }
    if runner._load_from and not runner._resume:
        named['load_from'] = runner._load_from
    ours = {path for path in {*named.values()} if is_of_pretraining(path)}
    if not ours:
        return
    if ours & {named.get('backbone'), named.get('load_from')}:
        runner.register_hook(VerifyTransferHook(allow_frozen=True))
        runner.logger.info(
            f'{listed(sorted(ours))} is of a pretraining: before the first '
            'iteration weights and pixels are compared with it, and what is '
            'frozen is left to the config. '
            'default_hooks.verify_transfer=None trains without that'
        )
    else:
        places = [name for name, path in named.items() if path in ours]
        runner.logger.warning(
            f'model.{listed(places)} loads {listed(sorted(ours))}, of a '
            'pretraining, and nothing compares the two, which is done for '
            'model.backbone only: look at what mmengine says of missing and '
            'unexpected keys, at data_preprocessor, frozen_stages, norm_eval'
        )


def _has_hook(runner: Runner, *kinds: type[Hook]) -> bool:
    return any(isinstance(hook, kinds) for hook in runner.hooks)


def _reason(error: Exception) -> str:
    """What is wrong in a config, by an error of mmengine."""
    unknown = _UNKNOWN.search(str(error))
    if unknown is None:
        return f'{type(error).__name__}: {error}'
    name, scope, kind = unknown.groups()
    parent = ROOTS.get(kind)
    known: set[str] = set()
    if parent:
        own = parent.children.get(scope)
        known = {*parent.module_dict, *(own.module_dict if own else ())}
    return f'there is no {kind} {name!r} in {scope}{did_you_mean(name, known)}'


def unfit_weights(cfg: Config, model: SCE) -> Iterator[str]:
    """Files that are to give weights to a pretraining and do not fit.

    A run that is resumed has its weights in its own checkpoint; if there is
    none, the hook looks again.
    """
    if cfg.get('resume'):
        return
    hook = find_hook(cfg, 'InitialWeightsHook') or {}
    try:
        for source in find_sources(
            model, cfg.get('load_from'), hook.get('checkpoint')
        ):
            load_weights(model, source)
    except CheckpointError as error:
        yield str(error)


def twice_normalised(cfg: Config) -> Iterator[str]:
    """Pixels of a pretraining that its files would not be right about.

    They say what the data preprocessor does, which a detector then has to do.
    """
    model = cfg.get('model') or {}
    preprocessor = model.get('data_preprocessor') or {}
    if model.get('type') == 'SCE' and preprocessor.get('mean') is not None:
        yield from pipeline_problems(cfg)


def wrong_classes(cfg: Config) -> Iterable[str]:
    """Classes of a detector or segmentor that are not those of its labels."""
    if cfg.get('default_scope') == 'mmdet':
        from ..detection.adapt import classes

        return classes.class_problems(cfg)
    if cfg.get('default_scope') == 'mmseg':
        from ..segmentation.classes import class_problems

        return class_problems(cfg)
    return []


def _share_labels(cfg: Config, training: bool) -> None:
    """Number the class folders of all parts as those of the training part."""
    measured = [
        cfg[f'{part}_dataloader'].dataset
        for part in ('val', 'test')
        if cfg.get(f'{part}_dataloader')
    ]
    if not measured:
        return
    reference = (cfg.get('train_dataloader') or {}).get('dataset')
    try:
        share_labels(reference, *measured)
    except FileNotFoundError:
        # Testing needs no training images.
        if training:
            raise
        share_labels(None, *measured)


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
        if pretrains:
            keys = fits * processes * model.num_target_views
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
            f'train_dataloader cannot be built: {_reason(error)}'
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


def scale_learning_rate(runner: Runner) -> None:
    """Scale the learning rate to the real batch, if the config asks for it.

    By :func:`~sce_mm.config.machine.rate_factor` from
    ``auto_scale_lr.base_batch_size``, the batch that the rate of the config
    belongs to. mmengine's own scaling leaves out accumulated batches and does
    not say what the rate becomes. A run that is resumed goes on with the rate
    in its checkpoint. The optimiser must not be built yet.
    """
    options = runner.auto_scale_lr
    if not options or not options.get('enable'):
        return
    batch = runner.train_dataloader.batch_sampler.batch_size
    wrapper = copy.deepcopy(runner.optim_wrapper)
    optimizer = wrapper['optimizer']
    accumulated = wrapper.get('accumulative_counts', 1)
    real = runner.world_size * batch * accumulated
    base, old = options['base_batch_size'], optimizer['lr']
    factor, reason = rate_factor(real / base, type_name(optimizer))
    optimizer['lr'] = float(f'{old * factor:.10g}')
    product = ''
    if real != batch:
        processes = counted(runner.world_size, 'process', 'processes')
        product = f' ({processes} x {batch} x {accumulated} accumulated)'
    print_log(
        f'--auto-scale-lr: learning rate {old:g} -> {optimizer["lr"]:g}, '
        f'{reason}, as the batch is {counted(real, "image")}{product} and '
        f'that of the config {base}',
        logger='current',
    )
    runner.optim_wrapper = wrapper
    runner.auto_scale_lr = None
