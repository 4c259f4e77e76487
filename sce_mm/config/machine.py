"""Fit precision and loader of a config to the machine."""

from pathlib import Path

from mmengine.config import Config

from ..utils.errors import UserError
from .parts import type_name

# Names of precisions, and the wrapper that trains in them.
PRECISIONS = {
    'none': 'OptimWrapper',
    'float16': 'AmpOptimWrapper',
    'bfloat16': 'BF16OptimWrapper',
}


def computes_in_bfloat16() -> bool:
    """Whether bfloat16 is faster than float32 on this processor (Linux)."""
    try:
        words = set(Path('/proc/cpuinfo').read_text().split())
    except OSError:
        return False
    # The last is how ARM calls it.
    return bool(words & {'avx512_bf16', 'amx_bf16', 'bf16'})


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

    The text that is returned says what was changed, or nothing.
    """
    name = type_name(cfg.get('optim_wrapper'))
    reasons = {
        'AmpOptimWrapper': 'float16 needs a GPU, and none was found',
        'BF16OptimWrapper': 'this processor has no bfloat16 and would crawl',
    }
    narrow = computes_in_bfloat16()
    if narrow and cfg.get('default_scope') in ('mmdet', 'mmseg'):
        narrow = False
        reasons['BF16OptimWrapper'] = (
            'operations of mmcv, such as RoIAlign, have no bfloat16 on '
            'processors'
        )
    elif narrow:
        del reasons['BF16OptimWrapper']
    if device not in ('cpu', 'mps') or name not in reasons:
        return ''
    precision = 'bfloat16' if narrow else 'none'
    set_precision(cfg, precision)
    shown = 'float32' if precision == 'none' else precision
    return (
        f'{reasons[name]}: training in {shown} instead, by '
        f'{PRECISIONS[precision]} (--amp {precision})'
    )


def pin_images(cfg: Config, device: str) -> None:
    """Let a GPU fetch the images of a pretraining while it computes.

    It does so from pinned memory only, which torch does not have without one.
    """
    is_pretraining = (cfg.get('model') or {}).get('type') == 'SCE'
    if device == 'cuda' and is_pretraining and 'train_dataloader' in cfg:
        cfg.train_dataloader.setdefault('pin_memory', True)
