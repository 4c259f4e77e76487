"""The momentum encoder: an exponential moving average of the online one."""

from collections.abc import Iterable, Sequence
from copy import deepcopy

import torch
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from torch import Tensor, nn

from ...utils.errors import UserError
from .batch_norm import (
    check_divisible,
    encode_shuffled,
    refuse_sync_batch_norm,
    split_batch_norm,
)
from .correspondence import Lattice
from .encoding import encode


class MomentumEncoder(nn.Module):
    """The parts that learn, with parameters that follow the online branch.

    It starts as a copy of backbone, necks and pyramid, takes no gradient and
    holds no predictor. Only parameters are averaged; the batch norm statistics
    are its own.

    Args:
        backbone: The online backbone, which is copied.
        neck: The online neck, which is copied.
        dense_neck: The online projector of places, which is copied; or None.
        pyramid: The online pyramid, which is copied; or None.
        level: Output of the backbone that places are taken from.
        simulated_devices: Let batch norm see the images in other batches than
            in the online branch: shuffled over the processes if there are
            several, else in so many groups (the backbone only, as
            officially). None for neither.

    Attributes:
        shuffles: Whether images are shuffled over the processes; decided once
            from the number of processes that there are.
        shuffle_count: Number of shuffles done, which the next one is drawn
            from. A resumed run has to set it.

    Raises:
        UserError: There is nothing to shuffle or split.
    """

    def __init__(
        self,
        backbone: nn.Module,
        neck: nn.Module,
        dense_neck: nn.Module | None = None,
        pyramid: nn.Module | None = None,
        level: int = -1,
        simulated_devices: int | None = None,
    ) -> None:
        super().__init__()
        self.backbone = deepcopy(backbone)
        self.neck = deepcopy(neck)
        self.dense_neck = deepcopy(dense_neck)
        self.pyramid = deepcopy(pyramid)
        self.level = level
        self.simulated_devices = simulated_devices
        self.shuffles = False
        self.shuffle_count = 0
        if simulated_devices is not None:
            self._separate_batch_norm(simulated_devices)
        self.requires_grad_(False)

    def forward(
        self, images: Tensor, points: Lattice | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Embeddings of images ``[N, 3, h, w]`` and places, see ``encode``."""
        inputs = (images, *(points or ()))
        shuffled = self.shuffles and self.training
        embedding, *places = (
            self._encode_shuffled(inputs)
            if shuffled
            else self._encode(*inputs)
        )
        return embedding, places[0] if places else None

    def check_batches(self, sizes: Iterable[int]) -> None:
        """Refuse batches that do not split, and SyncBN that came in since."""
        if self.simulated_devices is None:
            return
        refuse_sync_batch_norm(self)
        for size in () if self.shuffles else sizes:
            check_divisible(size, self.simulated_devices)

    @torch.no_grad()
    def copy_from(self, online: Sequence[nn.Module]) -> None:
        """Take over parameters and buffers of the online parts."""
        for own, other in zip(self.children(), online, strict=True):
            own.load_state_dict(other.state_dict())

    @torch.no_grad()
    def update(self, online: Sequence[nn.Module], momentum: float) -> None:
        """``target <- (1 - momentum) target + momentum online``."""
        parameters: list[Tensor] = [
            parameter for part in online for parameter in part.parameters()
        ]
        torch._foreach_lerp_(list(self.parameters()), parameters, momentum)

    def _encode(self, images: Tensor, *points: Tensor) -> tuple[Tensor, ...]:
        embedding, places = encode(
            self.backbone,
            self.neck,
            images,
            self.dense_neck,
            self.pyramid,
            self.level,
            Lattice(*points) if points else None,
        )
        return (embedding,) if places is None else (embedding, places)

    # Collectives, generators and a count that grows do not compile.
    @torch.compiler.disable
    def _encode_shuffled(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        self.shuffle_count += 1
        return encode_shuffled(self._encode, inputs, self.shuffle_count)

    def _separate_batch_norm(self, devices: int) -> None:
        if not isinstance(devices, int) or devices < 2:
            raise UserError(
                'shuffle_bn.simulated_devices must be an integer of at least '
                f'2 (8 in the CIFAR recipe), got {devices!r}'
            )
        refuse_sync_batch_norm(self)
        self.shuffles = get_world_size() > 1
        if self.shuffles:
            print_log(
                f'shuffle_bn: images are shuffled over {get_world_size()} '
                'processes for the momentum encoder',
                logger='current',
            )
            return
        count = split_batch_norm(self.backbone, devices)
        if not count:
            raise UserError(
                'shuffle_bn has nothing to do: there is no BatchNorm2d in '
                f'the backbone ({type(self.backbone).__name__}); leave it out'
            )
        print_log(
            f'shuffle_bn: one process; {count} batch norms of the momentum '
            f'backbone see each batch in {devices} groups',
            logger='current',
        )
