"""Load a backbone file into a network of a config that is no ResNet.

Each kind of network has a function that makes it a backbone which gives maps
of any size; :data:`KINDS` lists them. The layer norms of transformers and
ConvNeXts need no statistics of a batch, so nothing is said of norms; learning
rates by layers, which configs of such networks have, stay. A network of
another kind goes into the same network, as the config has it.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from mmpretrain.models import (
    ConvNeXt,
    ResNet,
    SwinTransformer,
    VisionTransformer,
)
from mmpretrain.registry import MODELS
from torch import nn

from ..checkpoints.state_dicts import shape_mismatches
from ..config.building import OWN_WEIGHTS
from ..config.parts import type_name
from ..transfer.metadata import describe_backbone
from ..transfer.networks.convnext import ConvNeXtArchitecture
from ..transfer.networks.swin import SwinArchitecture
from ..transfer.networks.vit import ViTArchitecture
from ..transfer.verify.load_report import modules_of
from .backbone import (
    RESNET_STAGES,
    BackboneFile,
    check_fit,
    load_into_resnet,
    use_batch_statistics,
)
from .edits import AdaptError, ConfigEdits, build
from .norms import give_norm
from .part_classes import class_of, setting_of
from .replacements import SWIN, VIT, Replacement, replace_network

# Norms of outputs that the pretraining did not have.
_NEW = re.compile(r'norm\d+\.(weight|bias)')


def load_whole(edits: ConfigEdits, where: str, file: BackboneFile) -> None:
    """Load all of the file into one network of a config; nothing is frozen.

    Raises:
        AdaptError: It is another network than that of the file.
    """
    if found := network_kind(file):
        _load_into_network(edits, where, file, found)
    else:
        load_into_resnet(edits, where, file)
        check_fit(edits, where, file, RESNET_STAGES)


def network_kind(file: BackboneFile) -> 'Kind | None':
    """Kind of the network; None for a ResNet and what is built as one."""
    known = file.backbone.known_architecture
    if known is not None:
        return KINDS.get(type(known))
    # Any network of the registries can be trained, also those of mmdet alone.
    cls = MODELS.get(str(file.backbone.meta['arch']).partition('-')[0])
    return None if cls and issubclass(cls, ResNet) else ANY_NETWORK


def _load_into_network(
    edits: ConfigEdits, where: str, file: BackboneFile, kind: 'Kind'
) -> None:
    cls = class_of(edits.get(where))
    if cls is None:
        name = edits.get(f'{where}.type')
        raise AdaptError(f'{where} is a {name}, which no registry has')
    if not issubclass(cls, kind.network):
        if kind.replacement is None or cls.__name__ != kind.network.__name__:
            raise AdaptError(
                f'{where} is a {cls.__name__}, and the weights are of a '
                f'{file.backbone.meta["arch"]}: take a config of the '
                f'same model with mmpretrain.{kind.network.__name__}'
            )
        replace_network(edits, where, cls, kind.replacement)
    for name in OWN_WEIGHTS:
        if name in edits.get(where):
            # None or, in a network of timm, False and an empty text.
            default = setting_of({'type': cls}, name)
            reason = 'these weights alone, through init_cfg'
            edits.set(f'{where}.{name}', default, reason)
    edits.set(f'{where}.init_cfg', file.init_cfg, 'these weights')
    frozen = edits.get(f'{where}.frozen_stages')
    # In some classes the number of the last frozen stage, in others how
    # many are frozen.
    nothing = setting_of({'type': cls}, 'frozen_stages')
    if None not in (frozen, nothing) and frozen > nothing:
        edits.set(
            f'{where}.frozen_stages',
            nothing,
            'nothing frozen: early layers of such weights have to move',
        )
    kind.make_dense(edits, where, file)
    _check_tensors(edits, where, file)


def _dense_swin(edits: ConfigEdits, where: str, file: BackboneFile) -> None:
    edits.set(
        f'{where}.pad_small_map',
        True,
        'maps smaller than a window are padded to one, as images of any size '
        'need; without, they are refused',
    )


def _dense_convnext(
    edits: ConfigEdits, where: str, file: BackboneFile
) -> None:
    edits.set(
        f'{where}.gap_before_final_norm',
        False,
        'maps are normalised and handed on, not their means',
    )
    found = file.backbone.architecture
    assert isinstance(found, ConvNeXtArchitecture)
    linear = setting_of(edits.get(where), 'linear_pw_conv')
    if found.linear != linear:
        edits.set(
            f'{where}.linear_pw_conv',
            found.linear,
            'pointwise convolutions as the weights have them',
        )


def _dense_vit(edits: ConfigEdits, where: str, file: BackboneFile) -> None:
    found = file.backbone.architecture
    edits.set(f'{where}.out_type', 'featmap', 'tokens of the patches as a map')
    edits.set(
        f'{where}.img_size',
        found.image_size,
        'the position embedding of the pretraining, as it is: each image gets '
        'it interpolated to its own size',
    )
    if edits.get(f'{where}.stop_grad_conv1'):
        edits.set(
            f'{where}.stop_grad_conv1', False, 'patch projection trained'
        )
    built: Any = build(edits, where)
    arch = found.config(file.backbone.meta)['arch']
    heads = file.backbone.meta['num_heads']
    # What is after a backbone of another width does not fit any more.
    as_wide = built.embed_dims == arch['embed_dims']
    if as_wide and describe_backbone(built)['num_heads'] != heads:
        edits.set(
            f'{where}.arch',
            arch,
            f'the {heads} attention heads of the pretraining, which no tensor '
            'shows',
        )


def _trained_norms(edits: ConfigEdits, where: str, file: BackboneFile) -> None:
    """Let the batch norms of any network be trained, where it has options."""
    part = edits.get(where)
    if setting_of(part, 'norm_cfg') is not None:
        give_norm(edits, where, 'norms trained')
    if setting_of(part, 'norm_eval') is not None:
        use_batch_statistics(edits, where)


class Kind(NamedTuple):
    """How the weights of a kind of network get into a config.

    Attributes:
        network: Class of mmpretrain that they go into.
        make_dense: Makes it give maps of images of any size.
        replacement: What becomes of a network with the same class name that
            another library has.
    """

    network: type[nn.Module]
    make_dense: Callable[[ConfigEdits, str, BackboneFile], None]
    replacement: Replacement | None = None


KINDS: dict[type, Kind] = {
    SwinArchitecture: Kind(SwinTransformer, _dense_swin, replacement=SWIN),
    ConvNeXtArchitecture: Kind(ConvNeXt, _dense_convnext),
    ViTArchitecture: Kind(VisionTransformer, _dense_vit, replacement=VIT),
}

# Whatever else was pretrained: the tensors say whether it is the same.
ANY_NETWORK = Kind(nn.Module, _trained_norms)


def _check_tensors(edits: ConfigEdits, where: str, file: BackboneFile) -> None:
    """Compare the tensors of a part with those of the file.

    Raises:
        AdaptError: Others than the norms of outputs differ.
    """
    weights = file.backbone.weights
    tensors = build(edits, where).state_dict()
    new = [n for n in tensors if n not in weights and _NEW.fullmatch(n)]
    expected = {n: t for n, t in tensors.items() if n not in new}
    if difference := shape_mismatches(expected, weights):
        raise AdaptError(
            f'the weights ({file.backbone.meta["arch"]}) do not fit '
            f'{where} ({type_name(edits.get(where))}): take a config of the '
            f'same model with the network of the file\n{difference}'
        )
    part = where.removeprefix('model.')
    edits.new += modules_of(f'{part}.{name}' for name in new)
