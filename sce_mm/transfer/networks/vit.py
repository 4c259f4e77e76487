"""Vision Transformers: sizes from the tensors, names of other libraries.

The number of attention heads does not show in any tensor, and MoCo v3 trains
the same shapes with another number than timm: it is part of the metadata.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from ...checkpoints.errors import EXTRACT, CheckpointError
from .architecture import Architecture, Family, Renaming, shape_of

# Width and layers of those that have a name.
SIZES = {
    (192, 12): 'tiny',
    (384, 12): 'small',
    (768, 12): 'base',
    (1024, 24): 'large',
    (1280, 32): 'huge',
}


class _Numbers(NamedTuple):
    width: int
    layers: int
    hidden: int
    patch: int
    grid: int


class ViTArchitecture(_Numbers, Architecture):
    """A Vision Transformer with a class token.

    Attributes:
        width: Channels of a token.
        layers: Number of layers.
        hidden: Channels between the two layers of an MLP.
        patch: Side of a patch.
        grid: Patches along a side of the images of the pretraining.
    """

    @property
    def name(self) -> str:
        """With size and patch: ``VisionTransformer-small-p16``."""
        known = (self.width, self.layers)
        size = SIZES.get(known) or f'{self.width}x{self.layers}'
        return f'VisionTransformer-{size}-p{self.patch}'

    @property
    def image_size(self) -> int:
        """Side of the images that the position embedding is for."""
        return self.patch * self.grid

    @property
    def settings(self) -> tuple[str, ...]:
        """The attention heads, which no tensor shows."""
        return ('num_heads',)

    def config(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        """Config of the network in mmpretrain, patch tokens as a map."""
        heads = meta.get('num_heads')
        if heads is None:
            raise CheckpointError(
                f'the file does not say how many attention heads the '
                f'{self.name} has, which no tensor shows: to {EXTRACT} add '
                f'--num-heads ({self.width // 64} in timm and DeiT, 12 in '
                'MoCo v3)'
            )
        if self.width % heads:
            raise CheckpointError(
                f'{heads} attention heads cannot share {self.width} channels'
            )
        return {
            'type': 'mmpretrain.VisionTransformer',
            'arch': {
                'embed_dims': self.width,
                'num_layers': self.layers,
                'num_heads': heads,
                'feedforward_channels': self.hidden,
            },
            'img_size': self.image_size,
            'patch_size': self.patch,
            'out_type': 'featmap',
        }

    def expected(self) -> dict[str, Tensor]:
        """Every tensor of the network; the heads make no difference."""
        return self.build({'num_heads': 1}).state_dict()


def architecture_of(tensors: Mapping[str, Tensor]) -> ViTArchitecture:
    """Architecture that the tensors imply.

    Raises:
        CheckpointError: A tensor that tells it is missing, or the patches
            form no square.
    """
    width, _, patch, _ = shape_of(tensors, 'patch_embed.projection.weight', 4)
    hidden, _ = shape_of(tensors, 'layers.0.ffn.layers.0.0.weight', 2)
    _, tokens, _ = shape_of(tensors, 'pos_embed', 3)
    grid = round((tokens - 1) ** 0.5)
    if grid**2 + 1 != tokens:
        raise CheckpointError(
            f'pos_embed is for {tokens} tokens: expected one for the class '
            'and those of a square of patches'
        )
    layers = {name.split('.')[1] for name in tensors if name[:7] == 'layers.'}
    return ViTArchitecture(width, len(layers), hidden, patch, grid)


VIT = Family(
    'Vision Transformer',
    (
        # mmpretrain and mmselfsup.
        Renaming(
            frozenset({'patch_embed.projection.weight', 'layers.0.ln1.weight'})
        ),
        # timm, DeiT, MAE, MoCo v3, DINO.
        Renaming(
            frozenset(
                {
                    'cls_token',
                    'patch_embed.proj.weight',
                    'blocks.0.norm1.weight',
                    'blocks.0.attn.qkv.weight',
                }
            ),
            (
                (r'^patch_embed\.proj\.', 'patch_embed.projection.'),
                (r'^norm\.', 'ln1.'),
                (r'^blocks\.', 'layers.'),
                (r'\bnorm([12])\.', r'ln\1.'),
                (r'\bmlp\.fc1\.', 'ffn.layers.0.0.'),
                (r'\bmlp\.fc2\.', 'ffn.layers.1.'),
            ),
            # With the decoder of MAE and the mask token of iBOT.
            r'head\.|decoder_|mask_token$|masked_embed$',
        ),
        Renaming(  # torchvision
            frozenset(
                {
                    'class_token',
                    'conv_proj.weight',
                    'encoder.layers.encoder_layer_0.ln_1.weight',
                }
            ),
            (
                (r'^class_token$', 'cls_token'),
                (r'^conv_proj\.', 'patch_embed.projection.'),
                (r'^encoder\.pos_embedding$', 'pos_embed'),
                (r'^encoder\.ln\.', 'ln1.'),
                (r'^encoder\.layers\.encoder_layer_', 'layers.'),
                (r'\bln_([12])\.', r'ln\1.'),
                (r'\bself_attention\.in_proj_', 'attn.qkv.'),
                (r'\bself_attention\.out_proj\.', 'attn.proj.'),
                (r'\bmlp\.(0|linear_1)\.', 'ffn.layers.0.0.'),
                (r'\bmlp\.(3|linear_2)\.', 'ffn.layers.1.'),
            ),
            r'heads\.',
        ),
    ),
    architecture_of,
)
