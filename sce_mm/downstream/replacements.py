"""Put a network of mmpretrain in the place of another library's of its kind.

mmdet and mmseg have a Swin and a Vision Transformer of their own, whose
tensors have other names or are renamed while they are loaded.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from mmengine.config import ConfigDict

from .edits import AdaptError, ConfigEdits


class Replacement(NamedTuple):
    """What becomes of the options of a network.

    Attributes:
        kept: Options that mmpretrain's network has too.
        built_in: Options that it has not, and the only value of each that
            computes what it does.
        others: Makes its other options of all options of the old one.
        reason: Why the old one does not do.
    """

    kept: tuple[str, ...]
    built_in: Mapping[str, Any]
    others: Callable[[Mapping[str, Any]], dict[str, Any]]
    reason: str


def replace_network(
    edits: ConfigEdits, where: str, cls: type, replacement: Replacement
) -> None:
    """Put mmpretrain's network of the same class name in place of another.

    Args:
        edits: The config.
        where: Path of the network in it.
        cls: Class that it names now.
        replacement: What becomes of its options.

    Raises:
        AdaptError: An option has a value that mmpretrain's has not.
    """
    parameters = inspect.signature(cls).parameters
    given = {
        name: _plain(value)
        for name, value in edits.get(where).items()
        if name != 'type'
    }
    options = {n: _plain(p.default) for n, p in parameters.items()} | given
    for name, value in replacement.built_in.items():
        if options.get(name, value) != value:
            raise AdaptError(
                f'{where}.{name} is {options[name]}: mmpretrain.'
                f'{cls.__name__}, which can load the file, has {value}'
            )
    kept = {k: v for k, v in given.items() if k in replacement.kept}
    edits.set(
        where,
        {
            'type': f'mmpretrain.{cls.__name__}',
            **kept,
            **replacement.others(options),
        },
        replacement.reason.format(library=cls.__module__.split('.')[0]),
    )


def _swin_options(options: Mapping[str, Any]) -> dict[str, Any]:
    names = ('embed_dims', 'depths', 'num_heads')
    return {
        'arch': {name: options[name] for name in names},
        'out_indices': options['out_indices'],
    }


SWIN = Replacement(
    (
        *('in_channels', 'patch_size', 'window_size', 'use_abs_pos_embed'),
        *('drop_rate', 'drop_path_rate', 'norm_cfg', 'with_cp'),
        'frozen_stages',
    ),
    {
        'strides': [4, 2, 2, 2],
        'mlp_ratio': 4,
        'qkv_bias': True,
        'qk_scale': None,
        'patch_norm': True,
        'attn_drop_rate': 0,
        'act_cfg': {'type': 'GELU'},
    },
    _swin_options,
    'the same network: the SwinTransformer of {library} renames what it '
    'loads and would lose the patch embedding, or all of the file',
)


def _vit_options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        'arch': {
            'embed_dims': options['embed_dims'],
            'num_layers': options['num_layers'],
            'num_heads': options['num_heads'],
            'feedforward_channels': options['mlp_ratio']
            * options['embed_dims'],
        },
        'out_indices': options['out_indices'],
    }


VIT = Replacement(
    (
        *('in_channels', 'patch_size', 'drop_rate', 'drop_path_rate'),
        *('norm_cfg', 'interpolate_mode'),
    ),
    {
        'qkv_bias': True,
        'attn_drop_rate': 0,
        'with_cls_token': True,
        'output_cls_token': False,
        'patch_norm': False,
        'pre_norm': False,
        'num_fcs': 2,
        'with_cp': False,
        'act_cfg': {'type': 'GELU'},
        'out_origin': False,
        'frozen_exclude': ['all'],
    },
    _vit_options,
    'the network whose names the file has: the VisionTransformer of {library} '
    'has others, and neither a last norm nor a bias of the patch embedding '
    'unless told',
)


def _plain(value: Any) -> Any:
    """Tuples as lists, dicts of a config as dicts."""
    if isinstance(value, Mapping):
        return ConfigDict(value).to_dict()
    return list(value) if isinstance(value, tuple) else value
