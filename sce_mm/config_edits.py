"""Data and weights of a command line in place of those of a config."""

from pathlib import Path

from mmengine.config import Config

from .config_parts import find_hook
from .training_data import innermost_dataset

_ADDED_BY_MMENGINE = {
    'runtime_info',
    'timer',
    'sampler_seed',
    'logger',
    'param_scheduler',
    'checkpoint',
}


def set_data(cfg: Config, folders: list[str]) -> None:
    """Point the innermost training data set to other folders.

    Raises:
        ValueError: The config trains on something else than a folder.
    """
    _, dataset = innermost_dataset(cfg)
    if dataset.type != 'UnlabelledImages':
        raise ValueError(
            f'--data takes a folder of unlabelled images, but this config '
            f'trains on {dataset.type}: use a config that ends in _folder, '
            'or set train_dataloader.dataset through --cfg-options'
        )
    dataset.data_root = folders if len(folders) > 1 else folders[0]
    dataset.pop('ann_file', None)


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
    if hook := find_hook(cfg, 'PretrainedBackboneHook'):
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


def remove_hooks(cfg: Config, kind: str) -> None:
    """Take the hooks of a type out."""
    for name, hook in list((cfg.get('default_hooks') or {}).items()):
        if hook and hook['type'] == kind:
            del cfg.default_hooks[name]
    if hooks := cfg.get('custom_hooks'):
        cfg.custom_hooks = [hook for hook in hooks if hook['type'] != kind]


def drop_disabled_hooks(cfg: Config) -> None:
    """Let ``default_hooks.NAME=None`` remove hooks of any name.

    mmengine takes None for the hooks that it adds by itself, and stops with
    an assertion at any other name.
    """
    hooks = cfg.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items() if hook is None]:
        if name not in _ADDED_BY_MMENGINE:
            del hooks[name]
