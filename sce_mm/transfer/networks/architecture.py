"""What a family of networks says of itself: architecture, names, layouts."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, Protocol

from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ...checkpoints.errors import CheckpointError


class Architecture(ABC):
    """The numbers that tell one network of a family from another."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Class of mmpretrain and size: ``ResNet-50``."""

    @property
    @abstractmethod
    def image_size(self) -> int:
        """Side of the images that the network is made for."""

    @property
    def settings(self) -> tuple[str, ...]:
        """Metadata that the network needs and its tensors do not tell."""
        return ()

    @abstractmethod
    def config(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        """Config of the network in mmpretrain, with feature maps as outputs.

        Args:
            meta: Metadata, which has what :attr:`settings` names.

        Raises:
            CheckpointError: A setting is not known.
        """

    def dense_config(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        """Config of the network as the necks of dense predictors need it.

        Networks that can give a map of each stage give all of them, of images
        of any size. Norms of outputs that the weights do not have are new.

        Raises:
            CheckpointError: A setting is not known.
        """
        return self.config(meta)

    def build(self, meta: Mapping[str, Any]) -> nn.Module:
        """The network of mmpretrain that takes the tensors.

        Raises:
            CheckpointError: A setting is not known.
        """
        return MODELS.build(self.config(meta))

    def expected(self) -> dict[str, Tensor]:
        """Every tensor of the network; only names and shapes count."""
        return self.build({}).state_dict()

    def filled(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The tensors, and those that a file may lack.

        Raises:
            CheckpointError: Such a tensor is there with other values.
        """
        return tensors


class Naming(Protocol):
    """Names that a library gives to the tensors of a family."""

    def matches(self, names: Collection[str]) -> bool:
        """Whether these are the names."""

    def translated(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors as mmpretrain names and lays them out, no classifier."""


class Renaming(NamedTuple):
    """A naming that patterns turn into that of mmpretrain.

    Attributes:
        marks: Tensors that every such network has, whatever its size, and
            that no other naming has.
        rules: Patterns and replacements of :func:`re.sub`, in their order.
        left_out: Pattern of tensors, by their new names, that are no part of
            a backbone: classifiers, buffers that are computed.
        layouts: Patterns of new names, and what puts the values of such a
            tensor into the order in which mmpretrain has them.
    """

    marks: frozenset[str]
    rules: tuple[tuple[str, str | Callable[[re.Match], str]], ...] = ()
    left_out: str = '(?!)'
    layouts: tuple[tuple[str, Callable[[Tensor], Tensor]], ...] = ()

    def matches(self, names: Collection[str]) -> bool:
        """Whether these are the names."""
        return self.marks <= set(names)

    def renamed(self, name: str) -> str:
        """Name of a tensor in mmpretrain."""
        for pattern, replacement in self.rules:
            name = re.sub(pattern, replacement, name)
        return name

    def translated(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors as mmpretrain names and lays them out, no classifier."""
        result = {}
        for old, tensor in tensors.items():
            name = self.renamed(old)
            if re.match(self.left_out, name):
                continue
            for pattern, layout in self.layouts:
                if re.fullmatch(pattern, name):
                    tensor = layout(tensor)
            result[name] = tensor
        return result


class Family(NamedTuple):
    """Networks of one kind.

    Attributes:
        name: Name for messages.
        namings: Names of its tensors in mmpretrain and elsewhere.
        architecture_of: Architecture that the tensors imply, or a
            ``CheckpointError`` if they are those of no network that is known.
    """

    name: str
    namings: tuple[Naming, ...]
    architecture_of: Callable[[Mapping[str, Tensor]], Architecture]


def shape_of(
    tensors: Mapping[str, Tensor], name: str, dimensions: int
) -> tuple[int, ...]:
    """Shape of a tensor that has to be there.

    Raises:
        CheckpointError: It is missing, empty or has other dimensions.
    """
    if name not in tensors:
        some = ', '.join([*tensors][:3]) + (
            ', ...' if len(tensors) > 3 else ''
        )
        raise CheckpointError(
            f'no {name}, not all of the network is there; the tensors are '
            f'{some}'
        )
    shape = tuple(tensors[name].shape)
    if len(shape) != dimensions or not tensors[name].numel():
        raise CheckpointError(
            f'{name} has the shape {list(shape)}: expected {dimensions} '
            'dimensions, none of them empty'
        )
    return shape


def blocks_of(tensors: Mapping[str, Tensor], pattern: str) -> tuple[int, ...]:
    r"""Blocks of each stage, by a pattern with the numbers of both.

    >>> names = ['stages.0.0.gamma', 'stages.0.1.gamma', 'stages.1.0.gamma']
    >>> blocks_of(dict.fromkeys(names), r'stages\.(\d+)\.(\d+)\.')
    (2, 1)
    """
    found = [re.match(pattern, name) for name in tensors]
    pairs = {(int(match[1]), int(match[2])) for match in found if match}
    stages = 1 + max((stage for stage, _ in pairs), default=-1)
    return tuple(
        1 + max((block for stage, block in pairs if stage == n), default=-1)
        for n in range(stages)
    )
