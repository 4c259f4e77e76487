"""Extract, load and save a backbone: its weights and what is known of them.

A file is ``dict(state_dict=..., meta=...)`` and holds tensors and plain values
only, so that ``torch.load(path, weights_only=True)`` reads it anywhere.
"""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..checkpoints.errors import CheckpointError
from ..checkpoints.reading import META_KEY, meta_of, read_checkpoint
from ..checkpoints.state_dicts import (
    in_float32,
    shape_mismatches,
    state_dict_of,
)
from ..utils.durable_files import replace_durably
from .formats import (
    IMAGENET,
    OWN,
    PYRAMID,
    Format,
    below,
    branches_alike,
    differences,
    select,
    select_for,
    select_pyramid,
)
from .metadata import (
    FORMAT,
    PIXELS,
    VERSION,
    checked_metadata,
    describe_backbone,
    metadata_of,
    require_settings,
    settings_of,
    tensor_hash,
)
from .networks.architecture import Architecture
from .networks.families import (
    architecture_of,
    check_values,
    complete,
    is_whole,
    naming_of,
)
from .networks.resnet import CLASSES, DETECTRON2, RESNET


class Backbone(NamedTuple):
    """Weights of a backbone, their metadata, and the pyramid behind it.

    Attributes:
        weights: Tensors under bare names, those of mmpretrain.
        meta: ``format``, ``version``, ``source`` (code base), ``branch``,
            ``sha256`` of all tensors, and ``arch``, ``method``, ``epochs``,
            ``channel_order`` (``'rgb'`` or ``'bgr'``), ``mean`` and ``std``
            (of pixels from 0 to 255, in that order), ``style`` and
            ``num_heads``, None where it is not known; ``assumed`` names those
            that the checkpoint does not say but the code base is known for.
        pyramid: Tensors under bare names of the feature pyramid that was
            pretrained with it; empty if there was none.
    """

    weights: dict[str, Tensor]
    meta: dict[str, Any]
    pyramid: Mapping[str, Tensor] = {}

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All tensors, those of the pyramid under ``pyramid.``."""
        inside = {f'{PYRAMID}{k}': v for k, v in self.pyramid.items()}
        return {**self.weights, **inside}

    @property
    def architecture(self) -> Architecture:
        """The network that the weights belong to.

        Raises:
            CheckpointError: It is none that is known.
        """
        return architecture_of(self.weights)

    @property
    def known_architecture(self) -> Architecture | None:
        """The same, or None: a training of ours may have any network."""
        try:
            return self.architecture
        except CheckpointError:
            return None

    @property
    def settings(self) -> tuple[str, ...]:
        """Metadata that whoever trains on has to have in common with it."""
        found = self.known_architecture
        return (*PIXELS, *(found.settings if found else ()))

    @property
    def unknown(self) -> list[str]:
        """Names of the settings that the file does not say."""
        return [name for name in self.settings if self.meta[name] is None]

    @property
    def unknown_options(self) -> str:
        """Options of ``sce extract`` that say them."""
        options = ' '.join(f'--{n.replace("_", "-")}' for n in self.unknown)
        if any(name in IMAGENET for name in self.unknown):
            options += (
                " (for what torchvision's and timm's usual weights expect, "
                '--imagenet says pixels and strides)'
            )
        return options

    def network(self) -> nn.Module:
        """The network of mmpretrain, with these weights.

        Raises:
            CheckpointError: It is none that is known, or a setting that no
                tensor shows is unknown.
        """
        model = self.architecture.build(self.meta)
        if mismatches := shape_mismatches(model.state_dict(), self.weights):
            raise CheckpointError(
                f'the file is of a {self.meta.get("arch")}, not of the '
                f'{self.architecture.name} that its tensors look like:\n'
                f'{mismatches}\n  Such a network is not exported. Configs '
                'with the same one take it: sce detector, sce segmentor, '
                'sce features --network'
            )
        model.load_state_dict(self.weights)
        return model


def extract_backbone(
    checkpoint: Mapping[str, Any],
    branch: str = 'online',
    float32: bool = False,
    network: nn.Module | None = None,
) -> Backbone:
    """Backbone of any checkpoint that we know.

    Extracting from an extracted file gives the same again. What other code
    bases made has to be the network that is given or, without one, a whole
    network of a known family; from our own training any architecture is
    taken.

    Args:
        checkpoint: Returned by :func:`read_checkpoint`.
        branch: ``'online'``, or ``'momentum'`` for the momentum encoder with
            the batch norm statistics of its own forward passes.
        float32: Convert tensors of another precision instead of refusing.
        network: Network that the tensors belong to. Its class, strides and
            attention heads count, whatever the tensors look like.

    Raises:
        CheckpointError: No whole backbone, no such branch, another network
            than the given one, statistics of another branch, values that are
            not finite or another precision.
    """
    meta = meta_of(checkpoint)
    tensors = state_dict_of(checkpoint)
    if meta.get('format') == FORMAT:
        if DETECTRON2.matches(tensors):
            tensors = DETECTRON2.translated(tensors)
        tensors = in_float32(tensors, float32)
        meta = checked_metadata(meta, tensors, branch)
        pyramid = below(tensors, PYRAMID)
        weights = {
            name: tensor
            for name, tensor in tensors.items()
            if not name.startswith(PYRAMID)
        }
        backbone = Backbone(weights, meta, pyramid)
        if network is None:
            return backbone
        return _file_of_network(network, backbone)
    known = metadata_of(meta.get(META_KEY))
    said: dict[str, Any] = {}
    if network is None:
        found, weights, assumed = _recognised(tensors, branch, float32, known)
    else:
        found, weights, assumed = _as_network(
            network, tensors, branch, float32, known
        )
        said = _said_by(network, assumed.get('arch'))
        _require_settings(network, known)
    assumed = {
        k: v for k, v in {**assumed, **said}.items() if known[k] is None
    }
    pyramid = in_float32(select_pyramid(found, tensors, branch), float32)
    backbone = Backbone(weights, {}, pyramid)
    meta = {
        'format': FORMAT,
        'version': VERSION,
        'source': found.name,
        'branch': branch,
        'sha256': tensor_hash(backbone.tensors),
        **known,
        **assumed,
        'assumed': sorted(set(assumed) - {'arch', *said}),
    }
    return backbone._replace(meta=meta)


def _recognised(
    tensors: Mapping[str, Tensor],
    branch: str,
    float32: bool,
    known: Mapping[str, Any],
) -> tuple[Format, dict[str, Tensor], dict[str, Any]]:
    """Format, weights and assumed metadata of what shows its network itself.

    Raises:
        CheckpointError: It is not the whole of a network of a known family,
            nor a variant of one that we have trained.
    """
    found, weights = select(tensors, branch)
    weights = in_float32(weights, float32)
    if found.name == OWN and not _is_known(known['arch'], weights):
        return found, weights, {}
    try:
        weights, architecture = complete(weights)
    except CheckpointError:
        # A variant, such as one with another norm, is whole if the branches
        # are alike: they are two copies of one network.
        if found.name != OWN or not branches_alike(tensors):
            raise
        check_values(weights)
        return found, weights, {}
    assumed = {'arch': architecture.name}
    if architecture.image_size == 224:
        names = (*PIXELS, *architecture.settings)
        assumed |= {k: v for k, v in found.metadata.items() if k in names}
    return found, weights, assumed


def _as_network(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    branch: str,
    float32: bool,
    known: Mapping[str, Any],
) -> tuple[Format, dict[str, Tensor], dict[str, Any]]:
    """The same of what is said to be a network.

    Tensors of other libraries become those of mmpretrain where the network
    has these names. Otherwise, as in networks of timm, they stay what they
    are, even if they look like those of a family.

    Raises:
        CheckpointError: It is another network.
    """
    differ = ''
    try:
        found, weights, assumed = _recognised(tensors, branch, float32, known)
    except CheckpointError:
        pass
    else:
        differ = differences(network, weights)
        if not differ:
            return found, weights, assumed
        if not weights.keys() & network.state_dict().keys():
            differ = ''
    try:
        found, weights = select_for(network, tensors, branch)
    except CheckpointError as error:
        if not differ or 'arch' not in assumed:
            raise
        raise CheckpointError(
            f'the {branch} branch is a {assumed["arch"]}, not the '
            f'{_said_by(network)["arch"]} of the config:\n{differ}'
        ) from error
    weights = in_float32(weights, float32)
    check_values(weights)
    return found, weights, {}


def _file_of_network(network: nn.Module, backbone: Backbone) -> Backbone:
    """What a network has of a backbone file.

    Raises:
        CheckpointError: The file is one of another network.
    """
    _require_settings(network, backbone.meta)
    differ = differences(network, backbone.weights)
    if not differ:
        return backbone
    try:
        _, weights = select_for(network, backbone.weights, 'online')
    except CheckpointError as error:
        raise CheckpointError(
            f'the file is of a {backbone.meta["arch"]}, not of the '
            f'{_said_by(network)["arch"]} of the config:\n{differ}'
        ) from error
    return _with_weights(backbone, weights)


def _require_settings(network: nn.Module, meta: Mapping[str, Any]) -> None:
    """Check what no tensor shows, where the checkpoint says it.

    Raises:
        CheckpointError: The network is of another class, or has other strides
            or attention heads.
    """
    arch = meta['arch']
    classes = [cls.__name__ for cls in type(network).__mro__]
    if arch and arch.partition('-')[0] not in classes:
        raise CheckpointError(
            f'the checkpoint says arch={arch!r}, and the config has a '
            f'{_said_by(network)["arch"]}'
        )
    here = settings_of({'backbone': network})
    require_settings(meta, here, f'the {arch or "backbone"} of the checkpoint')


def _said_by(network: nn.Module, arch: str | None = None) -> dict[str, Any]:
    """What a network says of itself, with a name that has its size."""
    said = describe_backbone(network)
    if arch and arch.partition('-')[0] == type(network).__name__:
        said['arch'] = arch
    return {name: value for name, value in said.items() if value is not None}


def _is_known(arch: str | None, weights: Mapping[str, Tensor]) -> bool:
    """Whether a network of our own training is one that can be checked.

    A ResNet is. Of other families a training may have variants that no other
    file has, such as a Vision Transformer with a norm behind its pooling.
    """
    family, _ = naming_of(weights) or (None, None)
    if arch is None and family is RESNET:
        return True
    if arch is not None and arch.partition('-')[0] in CLASSES:
        return True
    return family not in (None, RESNET) and is_whole(weights)


def without_later_outputs(
    backbone: Backbone, network: nn.Module
) -> tuple[Backbone, list[str]]:
    """What a network has of a backbone, and the parts that it has not.

    Args:
        backbone: One of the same network with later outputs.
        network: Network whose ``out_indices`` end earlier.
    """
    kept = network.state_dict()
    weights = {k: v for k, v in backbone.weights.items() if k in kept}
    rest = []
    for name in backbone.weights.keys() - kept.keys():
        parts = itertools.accumulate(name.split('.'), '{}.{}'.format)
        rest.append(next(p for p in parts if not below(kept, f'{p}.')))
    return _with_weights(backbone, weights), sorted(set(rest))


def _with_weights(backbone: Backbone, weights: dict[str, Tensor]) -> Backbone:
    """A backbone with other weights, of which it has the hash."""
    other = backbone._replace(weights=weights)
    meta = {**backbone.meta, 'sha256': tensor_hash(other.tensors)}
    return other._replace(meta=meta)


def save_backbone(path: str | Path, backbone: Backbone) -> None:
    """Write a backbone file; a reader never sees half of it.

    It is read back before it takes its name: every tensor and the metadata
    have to be those that were given.

    Raises:
        WriteError: The disk is full, the folder is read-only, or the file
            does not read back as it was written.
    """
    # Clones: a view would drag along the storage it is part of.
    weights = {
        k: v.detach().cpu().clone() for k, v in backbone.tensors.items()
    }
    content = {'state_dict': weights, 'meta': dict(backbone.meta)}

    def verify(temporary: str) -> None:
        try:
            found = read_checkpoint(temporary, trust=False)
        except CheckpointError as error:
            raise OSError(str(error)) from error
        read = found['state_dict']
        if (
            found['meta'] != content['meta']
            or read.keys() != weights.keys()
            or not all(torch.equal(read[k], v) for k, v in weights.items())
        ):
            raise OSError('it does not read back as it was written')

    replace_durably(path, lambda file: torch.save(content, file), verify)


def load_backbone(module: nn.Module, backbone: Backbone) -> None:
    """Load a backbone; every tensor on both sides has to match.

    Raises:
        CheckpointError: A tensor is missing, unexpected or of another shape,
            strides are elsewhere, or the attention heads are not as many.
    """
    name = f'the backbone from {backbone.meta["source"]}'
    if mismatches := shape_mismatches(module.state_dict(), backbone.weights):
        raise CheckpointError(
            f'{name} does not fit {type(module).__name__}:\n{mismatches}'
        )
    require_settings(backbone.meta, settings_of({'backbone': module}), name)
    module.load_state_dict(backbone.weights, strict=True)
