"""What a command line and the machine put in place of a config's values."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..config.parts import (
    find_hook,
    image_side,
    image_stretch,
    innermost_dataset,
    view_transforms,
)
from ..datasets import LabelledImages
from ..engine.optimizers.bf16 import computes_in_bfloat16
from ..evaluation.images import crop_pipeline
from ..transfer.named_weights import named_weights
from ..utils.errors import UserError

PREPROCESSOR, COLLATE = 'ViewPreprocessor', 'pseudo_collate'

# Images of this many pixels have no border to cut off.
_SMALL = 96

_ADDED_BY_MMENGINE = {
    'runtime_info',
    'timer',
    'sampler_seed',
    'logger',
    'param_scheduler',
    'checkpoint',
}

# Names of precisions and what trains in them.
PRECISIONS = {
    'none': 'OptimWrapper',
    'float16': 'AmpOptimWrapper',
    'bfloat16': 'BF16OptimWrapper',
}


def set_data(cfg: Config, folders: list[str]) -> None:
    """Point the innermost training data set to other folders.

    Raises:
        UserError: One is not there, or the config trains on something else.
    """
    for folder in folders:
        if not Path(folder).expanduser().is_dir():
            raise UserError(f'--data: there is no folder {folder}')
    _, dataset = innermost_dataset(cfg)
    if dataset.type != 'UnlabelledImages':
        raise UserError(
            f'--data takes a folder of unlabelled images, but this config '
            f'trains on {dataset.type}: use a config that ends in _folder, '
            'or set train_dataloader.dataset through --cfg-options'
        )
    dataset.data_root = folders if len(folders) > 1 else folders[0]
    dataset.pop('ann_file', None)


def set_pretrained(cfg: Config, path: str) -> None:
    """Point all that takes pretrained weights to another file.

    In classifiers that is a hook; in detectors the backbone, in those of the
    C4 kind the head of the regions as well, and whatever else loads the file
    of the backbone.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The config loads no backbone.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'--pretrained: no backbone file at {path}')
    if hook := find_hook(cfg, 'PretrainedBackboneHook'):
        hook['checkpoint'] = path
        return
    parts = [cfg.model.get('backbone')]
    if shared := (cfg.model.get('roi_head') or {}).get('shared_head'):
        parts.append(shared)
    before = ((parts[0] or {}).get('init_cfg') or {}).get('checkpoint')
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
    same = [where for where, value in named_weights(cfg) if value == before]
    cfg.merge_from_dict(
        {re.sub(r'\[(\d+)\]', r'.\1', where): path for where in same}
    )


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


def set_knn(
    cfg: Config,
    bank: str,
    query: str,
    resize: int | None = None,
    crop: int | None = None,
    batch_size: int = 64,
    workers: int = 2,
) -> None:
    """Let two folders of class folders be the data of the kNN evaluation.

    They take the place of those of an ``OnlineKNNHook`` that there is.

    Args:
        cfg: Config.
        bank: Folder of the images that vote.
        query: Folder of the images to classify.
        resize: Pixels of the shorter side; by default 8/7 of ``crop``, and of
            small images ``crop``.
        crop: Side of the central square; by default that of the images that
            the config trains on.
        batch_size: Images at a time.
        workers: Processes that load them.

    Raises:
        FileNotFoundError: A folder is not there, or has no class folders.
    """
    for name, folder in (('bank', bank), ('query', query)):
        if not Path(folder).expanduser().is_dir():
            raise FileNotFoundError(f'{name}: there is no folder {folder}')
    crop = crop or image_side(cfg)
    resize = resize or (crop if crop <= _SMALL else crop * 8 // 7)
    pipeline = crop_pipeline(
        resize, crop, apply_orientation=True, stretch=image_stretch(cfg)
    )

    def loader(folder: str) -> dict:
        dataset = {
            'type': 'mmpretrain.LabelledImages',
            'data_root': folder,
            'test_mode': True,
            'pipeline': pipeline,
        }
        return {
            'batch_size': batch_size,
            'num_workers': workers,
            'dataset': dataset,
        }

    hook = find_hook(cfg, 'OnlineKNNHook')
    if hook is None:
        # A vote of nearly the whole of a small bank says little.
        size = len(LabelledImages(data_root=bank))
        hook = {'type': 'OnlineKNNHook', 'k': max(1, min(20, size // 2))}
    remove_hooks(cfg, 'OnlineKNNHook')
    online = {**hook, 'bank': loader(bank), 'query': loader(query)}
    cfg.default_hooks = {
        **(cfg.get('default_hooks') or {}),
        'online_knn': online,
    }


def without_evaluation(cfg: Config) -> None:
    """Train and nothing else."""
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    remove_hooks(cfg, 'OnlineKNNHook')


def set_precision(cfg: Config, precision: str) -> None:
    """Train in one of ``PRECISIONS``, whatever the config trains in.

    Raises:
        UserError: The config has no optimiser wrapper.
    """
    wrapper = cfg.get('optim_wrapper')
    if not isinstance(wrapper, dict):
        raise UserError(f'optim_wrapper: must be a dict, got {wrapper!r}')
    wrapper['type'] = PRECISIONS[precision]
    # Only float16 has a range so small that gradients need a scale.
    for name in ('dtype', 'use_fsdp', 'loss_scale'):
        if precision != 'float16' or name == 'dtype':
            wrapper.pop(name, None)
    if precision == 'float16':
        wrapper.setdefault('loss_scale', 'dynamic')


def fit_precision(cfg: Config, device: str) -> str:
    """Train in a precision that the device has and is not slow in.

    Args:
        cfg: Config.
        device: As ``mmengine.device.get_device`` names it.

    Returns:
        What was changed, or nothing.
    """
    kind = (cfg.get('optim_wrapper') or {}).get('type')
    name = str(getattr(kind, '__name__', kind)).rpartition('.')[2]
    narrow = computes_in_bfloat16()
    if device not in ('cpu', 'mps') or name not in (
        'AmpOptimWrapper',
        *(() if narrow else ('BF16OptimWrapper',)),
    ):
        return ''
    if name == 'AmpOptimWrapper':
        reason = 'float16 needs a GPU, and none was found'
    else:
        reason = 'this processor has no bfloat16 and would crawl'
    precision = 'bfloat16' if narrow else 'none'
    set_precision(cfg, precision)
    shown = 'float32' if precision == 'none' else precision
    return (
        f'{reason}: training in {shown} instead, by '
        f'{PRECISIONS[precision]} (--amp {precision})'
    )


def planned_epochs(cfg: Config) -> Any:
    """Length of the training that a config describes."""
    loop = cfg.get('train_cfg')
    return loop.get('max_epochs') if isinstance(loop, dict) else None


def fit_warmup(cfg: Config, before: Any, words: Sequence[str]) -> str:
    """Shorten a warm-up along with the training that words have shortened.

    Args:
        cfg: Config, with the words in it.
        before: Epochs that it had without them.
        words: ``key=value`` of the command line; a warm-up that is among
            them stays as it is.

    Returns:
        What was changed, or nothing.
    """
    epochs, schedulers = planned_epochs(cfg), cfg.get('param_scheduler')
    if isinstance(schedulers, dict):
        schedulers = [schedulers]
    if any(word.startswith('param_scheduler') for word in words):
        return ''
    for scheduler in schedulers or []:
        warmup = isinstance(scheduler, dict) and scheduler.get('warmup_epochs')
        numbers = (warmup, epochs, before)
        if all(type(n) in (int, float) for n in numbers) and (
            0 < epochs <= warmup < before
        ):
            scheduler['warmup_epochs'] = epochs * warmup / before
            return (
                f'param_scheduler.warmup_epochs: {warmup:g} -> '
                f'{scheduler["warmup_epochs"]:.3g}, the same share of '
                f'{epochs:g} epoch(s) as of the {before:g} in the config'
            )
    return ''


def set_device_views(cfg: Config) -> None:
    """Change the three places of a config that this takes.

    Raises:
        ValueError: The config has no SCEViews, or a data preprocessor that
            does something else besides.
    """
    transforms = list(view_transforms(cfg))
    preprocessor = cfg.model.get('data_preprocessor') or {}
    known = ('SelfSupDataPreprocessor', PREPROCESSOR)
    if not transforms or preprocessor.get('type') not in known:
        raise ValueError(
            '--device-views is for configs with SCEViews in the pipeline and '
            'a SelfSupDataPreprocessor; this one has '
            f'{len(transforms)} SCEViews and {preprocessor.get("type")}'
        )
    for _, transform in transforms:
        transform['deferred'] = True
    preprocessor['type'] = PREPROCESSOR
    cfg.train_dataloader.collate_fn = dict(type=COLLATE)


def device_view_problems(cfg: Config) -> Iterator[str]:
    """What is missing where views are deferred, one line a problem."""
    deferred = [
        key
        for key, transform in view_transforms(cfg)
        if transform.get('deferred')
    ]
    for key in deferred:
        for place, name, wanted in (
            (
                'model.data_preprocessor',
                cfg.model.get('data_preprocessor'),
                PREPROCESSOR,
            ),
            (
                'train_dataloader.collate_fn',
                cfg.train_dataloader.get('collate_fn'),
                COLLATE,
            ),
        ):
            found = (name or {}).get('type')
            if found != wanted:
                yield (
                    f'{key}.deferred: the views are left to the data '
                    f'preprocessor, which needs {place}.type={wanted!r}, got '
                    f'{found!r}; --device-views sets all of it'
                )
