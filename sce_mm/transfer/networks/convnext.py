"""ConvNeXt, first and second version: sizes, names of other libraries."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mmpretrain.models import ConvNeXt
from torch import Tensor

from .architecture import Architecture, Family, Renaming, blocks_of, shape_of


class _Numbers(NamedTuple):
    depths: tuple[int, ...]
    channels: tuple[int, ...]
    patch: int
    linear: bool
    scaled: bool
    normalised: bool
    outputs: tuple[int, ...]


class ConvNeXtArchitecture(_Numbers, Architecture):
    """A ConvNeXt.

    Attributes:
        depths: Number of blocks of each stage.
        channels: Channels of each stage.
        patch: Side of a patch of the stem.
        linear: Pointwise convolutions are linear layers.
        scaled: Blocks have a layer scale (first version).
        normalised: Blocks have global response normalisation (second
            version).
        outputs: Stages whose output has a norm.
    """

    @property
    def name(self) -> str:
        """With the size, or with its channels if it has no name."""
        size = self._size or '-'.join(map(str, self.channels))
        return f'ConvNeXt-{size}'

    @property
    def image_size(self) -> int:
        """Side of ImageNet's crops; any multiple of 32 will do."""
        return 224

    @property
    def _size(self) -> str | None:
        for size, arch in ConvNeXt.arch_settings.items():
            named = (tuple(arch['depths']), tuple(arch['channels']))
            if named == (self.depths, self.channels):
                return size
        return None

    def config(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        """Config of the network in mmpretrain, norms on maps."""
        arch = {'depths': list(self.depths), 'channels': list(self.channels)}
        return {
            'type': 'mmpretrain.ConvNeXt',
            'arch': self._size or arch,
            'stem_patch_size': self.patch,
            'linear_pw_conv': self.linear,
            'layer_scale_init_value': 1.0 if self.scaled else 0.0,
            'use_grn': self.normalised,
            'out_indices': list(self.outputs),
            'gap_before_final_norm': False,
        }

    def dense_config(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        """Config of the network that gives a map of each stage."""
        return {
            **self.config(meta),
            'out_indices': list(range(len(self.depths))),
        }


def architecture_of(tensors: Mapping[str, Tensor]) -> ConvNeXtArchitecture:
    """Architecture that the tensors imply.

    Raises:
        CheckpointError: A tensor that tells it is missing.
    """
    stem = shape_of(tensors, 'downsample_layers.0.0.weight', 4)
    depths = blocks_of(tensors, r'stages\.(\d+)\.(\d+)\.')
    later = [
        shape_of(tensors, f'downsample_layers.{n}.1.weight', 4)[0]
        for n in range(1, len(depths))
    ]
    return ConvNeXtArchitecture(
        depths,
        (stem[0], *later),
        stem[-1],
        tensors['stages.0.0.pointwise_conv1.weight'].ndim == 2,
        'stages.0.0.gamma' in tensors,
        'stages.0.0.grn.gamma' in tensors,
        tuple(n for n in range(len(depths)) if f'norm{n}.weight' in tensors),
    )


def _flat(tensor: Tensor) -> Tensor:
    """``[C, 1, 1]`` or ``[1, 1, 1, C]`` to ``[C]``."""
    return tensor.flatten()


_VECTORS = ((r'.*\.(gamma|beta)', _flat),)

CONVNEXT = Family(
    'ConvNeXt',
    (
        # mmpretrain, which mmdet and mmseg use too.
        Renaming(
            frozenset(
                {
                    'downsample_layers.0.0.weight',
                    'stages.0.0.depthwise_conv.weight',
                    'stages.0.0.pointwise_conv1.weight',
                }
            )
        ),
        # The code of the authors.
        Renaming(
            frozenset(
                {
                    'downsample_layers.0.0.weight',
                    'stages.0.0.dwconv.weight',
                    'stages.0.0.pwconv1.weight',
                }
            ),
            (
                (r'\bdwconv\.', 'depthwise_conv.'),
                (r'\bpwconv', 'pointwise_conv'),
                (r'^norm\.', 'norm3.'),
            ),
            r'head\.',
            _VECTORS,
        ),
        Renaming(  # timm
            frozenset(
                {
                    'stem.0.weight',
                    'stages.0.blocks.0.conv_dw.weight',
                    'stages.0.blocks.0.mlp.fc1.weight',
                }
            ),
            (
                (r'^stem\.', 'downsample_layers.0.'),
                (r'^stages\.(\d)\.downsample\.', r'downsample_layers.\1.'),
                (r'^(stages\.\d)\.blocks\.', r'\1.'),
                (r'\bconv_dw\.', 'depthwise_conv.'),
                (r'\bmlp\.fc', 'pointwise_conv'),
                (r'\bmlp\.grn\.weight', 'grn.gamma'),
                (r'\bmlp\.grn\.bias', 'grn.beta'),
                (r'^head\.norm\.', 'norm3.'),
            ),
            r'head\.fc\.',
            _VECTORS,
        ),
        # torchvision: stem, stage, downsampling, stage, ... in a row.
        Renaming(
            frozenset(
                {
                    'features.0.0.weight',
                    'features.1.0.block.0.weight',
                    'features.1.0.block.3.weight',
                }
            ),
            (
                (
                    r'^features\.([0246])\.',
                    lambda match: f'downsample_layers.{int(match[1]) // 2}.',
                ),
                (
                    r'^features\.([1357])\.',
                    lambda match: f'stages.{int(match[1]) // 2}.',
                ),
                (r'\bblock\.0\.', 'depthwise_conv.'),
                (r'\bblock\.2\.', 'norm.'),
                (r'\bblock\.3\.', 'pointwise_conv1.'),
                (r'\bblock\.5\.', 'pointwise_conv2.'),
                (r'\blayer_scale$', 'gamma'),
                (r'^classifier\.0\.', 'norm3.'),
            ),
            r'classifier\.2\.',
            _VECTORS,
        ),
    ),
    architecture_of,
)
