"""Load a config and write what a command line asks for into it."""

import argparse
import copy
import os
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from ..config.overrides import fit_warmup, override
from ..config.parts import (
    find_hook,
    image_side,
    image_stretch,
    is_of_type,
    view_transforms,
)
from ..config.reading import as_option_key, read_config, require_model
from ..config.values import COLLATE, PREPROCESSOR
from ..datasets import LabelledImages
from ..evaluation.images import crop_pipeline, resized_side
from ..transfer.named_weights import is_pretrained, named_weights
from ..utils.errors import UserError
from ..utils.processes import is_first_process
from ..utils.progress import warn
from ..utils.text import listed
from .exit import naming, naming_options
from .machine import require_launched

_ADDED_BY_MMENGINE = {
    'runtime_info',
    'timer',
    'sampler_seed',
    'logger',
    'param_scheduler',
    'checkpoint',
}


def load_config(args: argparse.Namespace) -> Config:
    """Config of a parsed command line, with its overrides.

    Raises:
        FileNotFoundError: There is no such config.
        ConfigError: The config cannot be read, or an override has a key that
            nothing would read.
        UserError: The launcher that was named has not started this process
            as it should, or the command line says the same twice.
    """
    os.environ.setdefault('LOCAL_RANK', str(getattr(args, 'local_rank', 0)))
    require_launched(args.launcher)
    cfg = read_config(args.config)
    require_model(cfg, args.config)
    before = copy.deepcopy(cfg)
    override(cfg, args.cfg_options)
    note = fit_warmup(cfg, before)
    if note and is_first_process():
        warn(note)
    cfg.launcher = args.launcher
    # What writes no run takes no folder for one.
    if work_dir := getattr(args, 'work_dir', None):
        refuse_both('--work-dir', 'work_dir', args.cfg_options)
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    return cfg


def overridden(words: Sequence[str]) -> set[str]:
    """Keys that ``KEY=VALUE`` words set."""
    return {word.partition('=')[0] for word in words}


def refuse_both(option: str, key: str, words: Sequence[str]) -> None:
    """Refuse an option beside the ``KEY=VALUE`` word that sets the same.

    Raises:
        UserError: Both are given.
    """
    if key in overridden(words):
        raise UserError(
            f'{option} and --cfg-options {key} set the same: give one of them'
        )


def set_pretrained(cfg: Config, path: str) -> None:
    """Point all that takes pretrained weights to another file.

    In classifiers that is a hook; in detectors the backbone, in those of the
    C4 kind the head of the regions as well, and whatever else loads the file
    of the backbone.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: The config loads no backbone.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'--pretrained: no backbone file at {path}')
    if hook := find_hook(cfg, 'PretrainedBackboneHook'):
        hook['checkpoint'] = path
        return
    if cfg.model.get('type') == 'SCE':
        raise UserError(
            '--pretrained is for configs that load a backbone; a pretraining '
            'begins from weights by --init-from'
        )
    parts = [cfg.model.get('backbone')]
    if shared := (cfg.model.get('roi_head') or {}).get('shared_head'):
        parts.append(shared)
    before = ((parts[0] or {}).get('init_cfg') or {}).get('checkpoint')
    segments = cfg.get('default_scope') == 'mmseg'
    maker = 'segmentor' if segments else 'detector'
    for part in parts:
        init_cfg = (part or {}).get('init_cfg') or {}
        if not is_pretrained(init_cfg):
            raise UserError(
                '--pretrained is for configs that load a backbone, but '
                f'{(part or {}).get("type")} of this one has init_cfg='
                f'{init_cfg or None}: make one that does with '
                f'sce {maker}'
            )
        init_cfg['checkpoint'] = path
    same = [where for where, value in named_weights(cfg) if value == before]
    cfg.merge_from_dict({as_option_key(where): path for where in same})


def remove_hooks(cfg: Config, kind: str) -> None:
    """Take the hooks of a type out."""
    for name, hook in list((cfg.get('default_hooks') or {}).items()):
        if is_of_type(hook, kind):
            del cfg.default_hooks[name]
    if hooks := cfg.get('custom_hooks'):
        cfg.custom_hooks = [h for h in hooks if not is_of_type(h, kind)]


def drop_disabled_hooks(cfg: Config) -> None:
    """Let ``default_hooks.NAME=None`` remove hooks of any name.

    mmengine takes None for the hooks that it adds by itself, and stops with
    an assertion at any other name.
    """
    hooks = cfg.get('default_hooks') or {}
    for name, hook in list(hooks.items()):
        if hook is None and name not in _ADDED_BY_MMENGINE:
            del hooks[name]


def set_knn(
    cfg: Config,
    bank: str,
    query: str,
    resize: int | None = None,
    crop: int | None = None,
    batch_size: int = 64,
    workers: int = 2,
    options: tuple[str, str] = ('--bank', '--query'),
) -> None:
    """Let two folders of class folders be the data of the kNN evaluation.

    They take the place of those of an ``OnlineKNNHook`` that there is.

    ``crop`` is by default the side of the images that the config trains on,
    ``resize`` 8/7 of it, and of small images the same.

    Raises:
        UserError: A folder is not there, has no class folders, or has others
            than the bank, or both are the same; the message begins with the
            option.
    """
    classes = []
    for option, folder in zip(options, (bank, query), strict=True):
        if not Path(folder).expanduser().is_dir():
            raise UserError(f'{option}: there is no folder {folder}')
        with naming(option):
            images = LabelledImages(data_root=folder, lazy_init=True)
            classes.append(images.label_names())
    if Path(bank).expanduser().samefile(Path(query).expanduser()):
        raise UserError(
            f'{" and ".join(options)} are the same folder, {bank}: each image '
            'would be a neighbour of itself; expected other images of these '
            'classes'
        )
    if foreign := [name for name in classes[1] if name not in classes[0]]:
        raise UserError(
            f'{options[1]}: {query} has folders of classes that {bank} lacks: '
            f'{listed(foreign)}; those of {bank} are {listed(classes[0])}. '
            'Classes are the folders right below each, by name'
        )
    if len(classes[0]) < 2:
        raise UserError(
            f'{options[0]}: {bank} has the one class {classes[0][0]}, of '
            'which every image is: expected a folder for each of two classes '
            'or more'
        )
    crop = crop or image_side(cfg)
    resize = resize or resized_side(crop)
    with naming_options('crop', 'resize'):
        pipeline = crop_pipeline(
            resize, crop, apply_orientation=True, stretch=image_stretch(cfg)
        )

    def loader(folder: str) -> dict:
        kind = dict(type='mmpretrain.LabelledImages', test_mode=True)
        dataset = {**kind, 'data_root': folder, 'pipeline': pipeline}
        return dict(
            batch_size=batch_size, num_workers=workers, dataset=dataset
        )

    hook = find_hook(cfg, 'OnlineKNNHook')
    if hook is None:
        # A vote of nearly the whole of a small bank says little.
        size = len(LabelledImages(data_root=bank))
        hook = {'type': 'OnlineKNNHook', 'k': max(1, min(20, size // 2))}
    remove_hooks(cfg, 'OnlineKNNHook')
    online = {**hook, 'bank': loader(bank), 'query': loader(query)}
    others = cfg.get('default_hooks') or {}
    cfg.default_hooks = {**others, 'online_knn': online}


def without_evaluation(cfg: Config) -> None:
    """Remove validation and the kNN evaluation from a config."""
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    remove_hooks(cfg, 'OnlineKNNHook')


def set_device_views(cfg: Config) -> None:
    """Let the device make the views, which takes three changes of a config.

    Raises:
        UserError: The config has no SCEViews, or a data preprocessor that
            does something else besides.
    """
    transforms = list(view_transforms(cfg))
    preprocessor = cfg.model.get('data_preprocessor') or {}
    known = ('SelfSupDataPreprocessor', PREPROCESSOR)
    if not transforms or preprocessor.get('type') not in known:
        raise UserError(
            '--device-views is for configs with SCEViews in the pipeline and '
            'a SelfSupDataPreprocessor; this one has '
            f'{len(transforms)} SCEViews and {preprocessor.get("type")}'
        )
    for _, transform in transforms:
        transform['deferred'] = True
    preprocessor['type'] = PREPROCESSOR
    cfg.train_dataloader.collate_fn = dict(type=COLLATE)
