"""Recognise a network by its tensors and check that all of them are there.

Every tensor that the architecture implies has to be there in its shape, and no
other: what is wrong with a file is then said when it is read, not when a
detector has trained on half of it. To recognise another kind of network, add a
:class:`~sce_mm.transfer.networks.architecture.Family`; its place in detectors
is an entry of ``KINDS`` in ``sce_mm/downstream/networks.py``. Backbones of our
own pretrainings, and any of the registries with ``--network``, need neither.
"""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from ...checkpoints.errors import CheckpointError
from ...checkpoints.state_dicts import COUNTER, shape_mismatches
from .architecture import Architecture, Family, Naming
from .convnext import CONVNEXT
from .resnet import RESNET
from .swin import SWIN
from .vit import VIT

FAMILIES = (RESNET, SWIN, CONVNEXT, VIT)


def naming_of(names: Collection[str]) -> tuple[Family, Naming] | None:
    """Family and naming of tensors with these names, without a prefix."""
    for family in FAMILIES:
        for naming in family.namings:
            if naming.matches(names):
                return family, naming
    return None


def architecture_of(tensors: Mapping[str, Tensor]) -> Architecture:
    """Architecture of the network that tensors of mmpretrain belong to.

    Raises:
        CheckpointError: It is none that is known.
    """
    found = naming_of(tensors)
    if found is None:
        known = ', '.join(family.name for family in FAMILIES)
        some = ', '.join([*tensors][:3])
        raise CheckpointError(
            f'the tensors ({some}, ...) are those of no network that is known '
            f'here: {known}. sce extract and sce features take others, with '
            '--network CONFIG'
        )
    return found[0].architecture_of(tensors)


def is_whole(tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are the tensors of a network, no more and no less."""
    try:
        found = architecture_of(tensors)
        filled = found.filled(tensors)
        return not shape_mismatches(found.expected(), filled)
    except CheckpointError:
        return False


def complete(
    tensors: Mapping[str, Tensor],
) -> tuple[dict[str, Tensor], Architecture]:
    """Check the tensors of a network under the names of mmpretrain.

    Returns:
        Those tensors, with buffers that old or other files lack, and the
        architecture.

    Raises:
        CheckpointError: They are not those of a whole network.
    """
    found = architecture_of(tensors)
    tensors = found.filled(tensors)
    if mismatches := shape_mismatches(found.expected(), tensors):
        raise CheckpointError(
            f'the tensors are not those of a whole {found.name}:\n{mismatches}'
        )
    check_values(tensors)
    return dict(tensors), found


def check_values(tensors: Mapping[str, Tensor]) -> None:
    """Refuse values that no training leaves behind.

    Raises:
        CheckpointError: There are some.
    """
    for name, tensor in tensors.items():
        counted = name.endswith((COUNTER, 'relative_position_index'))
        if tensor.is_floating_point() == counted:
            wrong = f'is of type {str(tensor.dtype).removeprefix("torch.")}'
        elif name.endswith('running_var') and (tensor < 0).any():
            wrong = 'has negative variances'
        elif tensor.ndim == 4 and not tensor.any():
            wrong = 'has nothing but zeros'
        else:
            continue
        raise CheckpointError(
            f'{name} {wrong}, which no training leaves behind: the file is '
            'damaged, or not what was trained; copy or export it again'
        )


@torch.no_grad()
def last_features(model: nn.Module, images: Tensor) -> Tensor:
    """Last feature map ``[N, C, h, w]`` of a backbone in evaluation mode."""
    model.eval()  # which returns None in some backbones of OpenMMLab
    return model(images)[-1]
