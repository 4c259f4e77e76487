"""Build the Runner of a config, after whatever can be checked before."""

import re
from collections.abc import Iterable, Iterator

import torch
from mmengine import registry
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.registry import RUNNERS, Registry
from mmengine.runner import Runner

from ..checkpoints.errors import CheckpointError
from ..config import ConfigError, check_config
from ..config.machine import fit_precision, pin_images
from ..config.parts import find_hook
from ..datasets.labelled_images import share_labels
from ..engine import (
    InitialWeightsHook,
    PretrainedBackboneHook,
    VerifyTransferHook,
)
from ..engine.runner.cpu_ddp import use_gloo
from ..models import SCE
from ..transfer.initial_weights import find_sources, load_weights
from ..transfer.verify.load_report import pretrained_init
from ..transfer.verify.pipelines import pipeline_problems
from ..transfer.verify.problems import is_of_pretraining
from ..utils.checks import did_you_mean
from ..utils.distributed import unwrapped
from ..utils.text import listed
from .config_edits import drop_disabled_hooks
from .quiet_runner import FirstWordsHook, LaidOutOnce, QuietRunner

# How mmengine names what no registry has.
_UNKNOWN = re.compile(r'(\w+) is not in the (\w+)::([\w ]+) registry')
_ROOTS = {
    parent.name: parent
    for parent in vars(registry).values()
    if isinstance(parent, Registry)
}


def build_runner(cfg: Config, training: bool = True) -> Runner:
    """Runner of a config, on whatever devices there are.

    Args:
        cfg: Config; its precision becomes one that the device has, and its
            loader one that suits it.
        training: Whether it will train; testing needs no training images.

    Raises:
        ConfigError: The config has names that nothing would read, or, for
            training, anything that cannot work.
    """
    note = ''
    if training:
        note = fit_precision(cfg, get_device())
        pin_images(cfg, get_device())
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
    copied = LaidOutOnce()
    copied.__dict__.update(cfg.__dict__)
    if 'runner_type' in cfg:
        runner = RUNNERS.build(copied)
    else:
        try:
            runner = QuietRunner.from_cfg(copied)
        except (TypeError, KeyError, AttributeError) as error:
            raise ConfigError(
                f'the config cannot be built: {not_built(error)}'
            ) from error
    runner.register_hook(FirstWordsHook())
    if isinstance(unwrapped(runner.model), SCE):
        # Configs with hooks of their own: nothing loads loosely in these too.
        if not _has_hook(runner, InitialWeightsHook):
            runner.register_hook(InitialWeightsHook())
    elif training and not unverified:
        _verify_backbone_file(runner)
    for line in [note, *(spare_classes(cfg) if training else [])]:
        if line:
            runner.logger.warning(line)
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


def not_built(error: Exception) -> str:
    """What is wrong in a config, by an error of mmengine."""
    unknown = _UNKNOWN.search(str(error))
    if unknown is None:
        return f'{type(error).__name__}: {error}'
    name, scope, kind = unknown.groups()
    parent = _ROOTS.get(kind)
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


def spare_classes(cfg: Config) -> Iterable[str]:
    """Heads of a detector with outputs for more classes than its labels."""
    if cfg.get('default_scope') == 'mmdet':
        from ..detection.adapt import classes

        return classes.class_notes(cfg)
    return []


def _share_labels(cfg: Config, training: bool) -> None:
    """Number the class folders of all parts as those of the training part.

    Raises:
        ConfigError: There are more of them than outputs of the head.
    """
    measured = [
        cfg[f'{part}_dataloader'].dataset
        for part in ('val', 'test')
        if cfg.get(f'{part}_dataloader')
    ]
    if not measured:
        return
    reference = (cfg.get('train_dataloader') or {}).get('dataset')
    try:
        names = share_labels(reference, *measured)
    except FileNotFoundError:
        # Testing needs no training images.
        if training:
            raise
        names = share_labels(None, *measured)
    size = (cfg.get('model', {}).get('head') or {}).get('num_classes')
    if isinstance(size, int) and size < len(names):
        raise ConfigError(
            f'model.head.num_classes: {size}, but train_dataloader.dataset '
            f'has {len(names)} classes: {listed(names)}'
        )
