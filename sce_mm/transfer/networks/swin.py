"""Swin Transformers: sizes from the tensors, names of other libraries.

mmpretrain merges patches by ``nn.Unfold``, so the ``4 C`` values of four
neighbours lie channel by channel in it, and neighbour by neighbour, column
before row, everywhere else: norm and reduction of a merging have to be put
into another order. Windows, heads and depths follow from the tensors.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from mmpretrain.models import SwinTransformer
from torch import Tensor

from ...checkpoints.errors import CheckpointError
from .architecture import Architecture, Family, Renaming, blocks_of, shape_of

_INDEX = 'relative_position_index'
_TABLE = 'attn.w_msa.relative_position_bias_table'


class _Numbers(NamedTuple):
    width: int
    patch: int
    window: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    outputs: tuple[int, ...]


class SwinArchitecture(_Numbers, Architecture):
    """A Swin Transformer.

    Attributes:
        width: Channels of the first stage.
        patch: Side of a patch.
        window: Side of the attention windows.
        depths: Number of blocks of each stage.
        heads: Attention heads of each stage.
        outputs: Stages whose output has a norm.
    """

    @property
    def name(self) -> str:
        """With the size, or with width and depths if it has no name."""
        size = self._size or '-'.join(map(str, (self.width, *self.depths)))
        return f'SwinTransformer-{size}'

    @property
    def image_size(self) -> int:
        """Side at which the last stage is one window."""
        return self.patch * self.window << (len(self.depths) - 1)

    @property
    def _size(self) -> str | None:
        numbers = (self.width, self.depths, self.heads)
        for size in ('tiny', 'small', 'base', 'large'):
            arch = SwinTransformer.arch_zoo[size]
            named = (arch['embed_dims'], arch['depths'], arch['num_heads'])
            if numbers == (named[0], tuple(named[1]), tuple(named[2])):
                return size
        return None

    def config(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        """Config of the network in mmpretrain."""
        arch = {
            'embed_dims': self.width,
            'depths': list(self.depths),
            'num_heads': list(self.heads),
        }
        return {
            'type': 'mmpretrain.SwinTransformer',
            'arch': self._size or arch,
            'patch_size': self.patch,
            'window_size': self.window,
            'out_indices': list(self.outputs),
        }

    def dense_config(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        """Config of the network that gives a map of each stage.

        Maps smaller than a window are padded.
        """
        return {
            **self.config(meta),
            'out_indices': list(range(len(self.depths))),
            'pad_small_map': True,
        }

    def filled(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The tensors and the indices that only mmpretrain's files have."""
        expected = self.expected()
        computed = {k: v for k, v in expected.items() if k.endswith(_INDEX)}
        for name, tensor in computed.items():
            if name in tensors and not tensors[name].equal(tensor):
                raise CheckpointError(
                    f'{name} numbers the positions in a window in another '
                    f'order than a window of {self.window} x {self.window} '
                    'has them: not a Swin Transformer that is known here'
                )
        return {**computed, **tensors}


def architecture_of(tensors: Mapping[str, Tensor]) -> SwinArchitecture:
    """Architecture that the tensors imply.

    Raises:
        CheckpointError: A tensor that tells it is missing.
    """
    width, _, patch, _ = shape_of(tensors, 'patch_embed.projection.weight', 4)
    depths = blocks_of(tensors, r'stages\.(\d+)\.blocks\.(\d+)\.')
    tables = [
        shape_of(tensors, f'stages.{n}.blocks.0.{_TABLE}', 2)
        for n in range(len(depths))
    ]
    outputs = [re.fullmatch(r'norm(\d+)\.weight', name) for name in tensors]
    return SwinArchitecture(
        width,
        patch,
        # The table has (2 window - 1)^2 differences of position.
        (round(tables[0][0] ** 0.5) + 1) // 2,
        depths,
        tuple(heads for _, heads in tables),
        tuple(sorted(int(match[1]) for match in outputs if match)),
    )


def to_unfold_order(tensor: Tensor) -> Tensor:
    """Values of four neighbours as ``nn.Unfold`` has them.

    Args:
        tensor: ``[..., 4 C]``, four neighbours of ``C`` channels each, in the
            order (0, 0), (1, 0), (0, 1), (1, 1) of row and column.

    Returns:
        ``[..., 4 C]``, the four of each channel together, row by row.
    """
    neighbours = tensor.unflatten(-1, (4, -1))[..., [0, 2, 1, 3], :]
    return neighbours.transpose(-1, -2).flatten(-2)


_MERGING = (
    (r'.*\.downsample\.(norm|reduction)\.(weight|bias)', to_unfold_order),
)
# The mask token is of SimMIM.
_LEFT_OUT = rf'head\.|mask_token$|.*\b(attn_mask|{_INDEX})$'
_INNER = (
    (r'^patch_embed\.proj\.', 'patch_embed.projection.'),
    (r'\battn\.', 'attn.w_msa.'),
    (r'\bmlp\.fc1\.', 'ffn.layers.0.0.'),
    (r'\bmlp\.fc2\.', 'ffn.layers.1.'),
    (r'^norm\.', 'norm3.'),
)

SWIN = Family(
    'Swin Transformer',
    (
        # mmpretrain, mmselfsup, mmdet, mmseg.
        Renaming(
            frozenset(
                {
                    'patch_embed.projection.weight',
                    f'stages.0.blocks.0.{_TABLE}',
                }
            ),
            left_out=r'mask_token$|.*\battn_mask$',
        ),
        # timm merges patches at the beginning of a stage,
        Renaming(
            frozenset(
                {'patch_embed.proj.weight', 'layers.3.downsample.norm.weight'}
            ),
            (
                (
                    r'^layers\.(\d)\.downsample\.',
                    lambda match: f'stages.{int(match[1]) - 1}.downsample.',
                ),
                (r'^layers\.', 'stages.'),
                *_INNER,
            ),
            _LEFT_OUT,
            _MERGING,
        ),
        # and the code of the authors at its end.
        Renaming(
            frozenset(
                {'patch_embed.proj.weight', 'layers.0.downsample.norm.weight'}
            ),
            ((r'^layers\.', 'stages.'), *_INNER),
            _LEFT_OUT,
            _MERGING,
        ),
        # torchvision: patches, stage, merging, stage, ... in a row.
        Renaming(
            frozenset({'features.0.0.weight', 'features.1.0.attn.qkv.weight'}),
            (
                (r'^features\.0\.0\.', 'patch_embed.projection.'),
                (r'^features\.0\.2\.', 'patch_embed.norm.'),
                (
                    r'^features\.([1357])\.',
                    lambda match: f'stages.{int(match[1]) // 2}.blocks.',
                ),
                (
                    r'^features\.([246])\.',
                    lambda match: (
                        f'stages.{int(match[1]) // 2 - 1}.downsample.'
                    ),
                ),
                (r'\bmlp\.0\.', 'mlp.fc1.'),
                (r'\bmlp\.3\.', 'mlp.fc2.'),
                *_INNER,
            ),
            _LEFT_OUT,
            _MERGING,
        ),
    ),
    architecture_of,
)
