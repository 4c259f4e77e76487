"""SCE: Similarity Contrastive Estimation as an mmpretrain algorithm.

Denize et al., "Similarity Contrastive Estimation for Self-Supervised Soft
Contrastive Learning", WACV 2023.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather
from mmpretrain.models import BaseSelfSupervisor
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ...utils.errors import UserError
from ..heads.dense_sce_head import DENSE_VIEWS, DenseSCEHead
from ..heads.sce_head import SCEHead
from ..losses.sce_loss import NO_CANDIDATES
from ..losses.softmax import unit_rows
from ..utils.correspondence import Lattice
from ..utils.encoding import encode
from ..utils.memory_queue import MemoryQueue
from ..utils.momentum_encoder import MomentumEncoder
from ..utils.widths import check_widths

NO_BOXES = (
    'dense_head compares places that two views share and has to know where '
    'each view lies: make the views with SCEViews, and let PackInputs hand '
    "that on, meta_keys=('img_path', 'sample_idx', 'view_boxes')"
)

# Of one view: ``[N, D]`` of its images, and ``[N P, D']`` of P places in each.
_Encoded = tuple[Tensor, Tensor | None]


@MODELS.register_module()
class SCE(BaseSelfSupervisor):
    """Online branch, momentum branch, queue, and the order of one step.

    The first ``num_target_views`` views go through the momentum encoder and
    give keys; every view that learns from another one goes through the online
    branch and gives queries. With two global views, ``num_target_views=1`` is
    the asymmetric loss (view 0 teaches view 1 and is not seen by the online
    branch) and 2 the symmetric one. Local crops follow the global views.

    With ``dense_neck``, ``dense_head`` and ``dense_queue`` the same loss is
    also taken between places that the first two views both show, in feature
    maps of the same forward passes: see :class:`DenseSCEHead`. The data
    samples must then carry ``view_boxes``. With ``pyramid`` these maps are
    those of a feature pyramid, which is trained with the backbone and goes to
    a detector with it.

    After each optimiser step :meth:`after_optimizer_step` must run:
    ``MomentumUpdateHook`` does that. If it does not, the next :meth:`loss`
    raises rather than train on against a frozen target.

    Args:
        backbone: Config of the backbone.
        neck: Config of the projector, one ``[N, D]`` embedding out.
        head: Config of the head, ``dict(type='SCEHead', ...)``.
        queue: ``dict(length=K)`` and, if the neck's config has no
            ``out_channels``, ``dim=D``; None for keys of the batch alone.
        num_target_views: Number of leading views that give keys.
        shuffle_bn: ``dict(simulated_devices=S)`` lets the momentum encoder's
            batch norm see the images in other batches than the online one,
            so that the statistics do not reveal a pair: shuffled over the
            processes if there are several (MoCo), else in S groups. SyncBN
            is refused. None, as in the symmetric recipes, does neither.
        channels_last: Keep convolution weights, images and feature maps in
            the memory layout in which processors and GPUs convolve fastest.
            Values are the same up to rounding.
        dense_neck: Config of the projector of places, a neck without pooling
            that takes rows ``[N P, C]``; None for the loss of images alone.
        dense_head: Config of their head, ``dict(type='DenseSCEHead', ...)``.
        dense_queue: Like ``queue``, for the keys of places.
        pyramid: Config of the feature pyramid that places are taken from, as
            a detector has it behind its backbone: ``dict(type='mmdet.FPN',
            ...)``; its maps have as many channels each. None for an output
            of the backbone.
        data_preprocessor: Config of the data preprocessor.
        init_cfg: Initialisation config.
        momentum: Refused: it is an argument of ``MomentumUpdateHook``.

    Raises:
        UserError: ``num_target_views`` is below one, the config of the
            queue is incomplete, there is nothing to compare with, a part is
            not as wide as the one before it, ``shuffle_bn`` does not fit the
            layers, a dense part is missing, a pyramid has no dense part
            that trains it, or a momentum is given.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        head: dict,
        queue: dict | None = None,
        num_target_views: int = 2,
        shuffle_bn: dict | None = None,
        channels_last: bool = False,
        dense_neck: dict | None = None,
        dense_head: dict | None = None,
        dense_queue: dict | None = None,
        pyramid: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
        momentum: None = None,
    ) -> None:
        _check_arguments(num_target_views, shuffle_bn, momentum)
        super().__init__(
            backbone=backbone,
            neck=neck,
            head=head,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        self.num_target_views = num_target_views
        self.queue = _build_queue('queue', queue, neck)
        if self.queue is None and not getattr(
            self.head, 'in_batch_keys', True
        ):
            raise UserError(NO_CANDIDATES)
        self._build_dense(dense_neck, dense_head, dense_queue)
        self.pyramid = self._build_pyramid(pyramid)
        level = None if self.dense_head is None else self.dense_head.level
        self.momentum_encoder = MomentumEncoder(
            self.backbone,
            self.neck,
            self.dense_neck,
            self.pyramid,
            -1 if level is None else level,
            **(shuffle_bn or {}),
        )
        configs = {
            'neck': neck,
            'head': head,
            'queue': queue,
            'dense_neck': dense_neck,
            'dense_head': dense_head,
            'dense_queue': dense_queue,
            'pyramid': pyramid,
        }
        check_widths(self.backbone, self.neck, configs, level)
        # Forward passes whose gradients are summed up in one optimiser step.
        self.micro_batches_per_step = 1
        self._pending: list[list[Tensor]] = []
        self._pending_dense: list[list[Tensor]] = []
        if channels_last:
            # Convolutions take over the layout of their weights.
            self.to(memory_format=torch.channels_last)

    @property
    def averaged_parts(self) -> list[nn.Module]:
        """Online parts that the momentum encoder follows, in its order."""
        parts = self.backbone, self.neck, self.dense_neck, self.pyramid
        return [part for part in parts if part is not None]

    def init_weights(self) -> None:
        """Initialise the online branch and copy it to the momentum branch."""
        super().init_weights()
        self.momentum_encoder.copy_from(self.averaged_parts)

    def loss(
        self,
        inputs: Sequence[Tensor],
        data_samples: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Loss of one batch, and values for the log.

        Args:
            inputs: V views ``[N, 3, h, w]``, targets first.
            data_samples: Data samples of the N images. Their ``view_boxes``
                [V, 5] are read if there is a ``dense_head``, nothing else is.
            **kwargs: Ignored.

        Returns:
            See :meth:`SCEHead.loss`; ``queue_filled`` is the share of the
            queue that holds real keys. With a ``dense_head`` ``loss`` is
            ``global_sce + weight dense_sce``, and all values of the dense
            loss follow, their names beginning with ``dense_``;
            ``dense_shared`` is the share of images whose views overlap.

        Raises:
            UserError: Views do not fit, or ``view_boxes`` are missing.
            UserError: The momentum encoder was not updated.
        """
        self._check_views(inputs)
        self._check_updated()
        points: list[Lattice | None] = [None] * len(inputs)
        shared: Tensor | None = None
        if self.dense_head is not None:
            points[:DENSE_VIEWS], shared = _locate(
                self.dense_head, inputs, data_samples
            )
        targets = [
            self.encode_target(x, points[view])
            for view, x in enumerate(inputs[: self.num_target_views])
        ]
        # A lone target view has no other one to learn from.
        first = 1 if self.num_target_views == 1 else 0
        online = [
            self.encode_online(x, points[view]) if view >= first else None
            for view, x in enumerate(inputs)
        ]
        losses, batch_keys = _compare(
            self.head,
            [view and view[0] for view in online],
            [view[0] for view in targets],
            self.queue,
        )
        if self.training:
            self._pending.append(batch_keys)
        if shared is None:
            return losses
        return self._with_dense_loss(losses, online, targets, shared)

    def encode_online(
        self, images: Tensor, points: Lattice | None = None
    ) -> _Encoded:
        """Queries of one view, L2-normalised.

        Returns:
            ``[N, D]`` of the images, and ``[N P, D']`` of P points in each.
        """
        embedding, places = encode(
            self.backbone,
            self.neck,
            images,
            self.dense_neck,
            self.pyramid,
            self.momentum_encoder.level,
            points,
        )
        query = self.head(embedding)
        if places is None or self.dense_head is None:
            return query, None
        return query, self.dense_head(places.flatten(0, 1))

    @torch.no_grad()
    def encode_target(
        self, images: Tensor, points: Lattice | None = None
    ) -> _Encoded:
        """Keys of one view, L2-normalised, without gradient.

        In float32 under any autocast, as the queues keep them.

        Returns:
            See :meth:`encode_online`.
        """
        embedding, places = self.momentum_encoder(images, points)
        key = unit_rows(embedding)
        if places is None:
            return key, None
        return key, unit_rows(places.flatten(0, 1))

    def after_optimizer_step(self, momentum: float) -> None:
        """Enqueue the keys of the step and average the parameters.

        ``momentum`` is the small number, 0.01 for a decay of 0.99.

        Raises:
            UserError: It is not from 0 to 1.
        """
        if not 0 <= momentum <= 1:
            raise UserError(
                'momentum is the share of the online network in the average, '
                f'from 0 to 1 (0.01 for a decay of 0.99), got {momentum}'
            )
        if self.queue is not None and self._pending:
            views = zip(*self._pending, strict=True)
            self.queue.enqueue(torch.cat([torch.cat(v) for v in views]))
        if self.dense_queue is not None and self._pending_dense:
            assert self.dense_head is not None
            views = zip(*self._pending_dense, strict=True)
            kept = [self.dense_head.keys_to_keep(v) for v in views]
            self.dense_queue.enqueue(torch.cat(kept))
        self.discard_keys()
        self.momentum_encoder.update(self.averaged_parts, momentum)

    def discard_keys(self) -> None:
        """Forget the keys of a step that were not enqueued."""
        self._pending.clear()
        self._pending_dense.clear()

    def _build_dense(
        self, neck: dict | None, head: dict | None, queue: dict | None
    ) -> None:
        self.dense_neck: nn.Module | None = None
        self.dense_head: DenseSCEHead | None = None
        self.dense_queue: MemoryQueue | None = None
        if neck is None and head is None and queue is None:
            return
        if neck is None or head is None:
            raise UserError(
                'dense_neck, dense_head and dense_queue belong together: give '
                'both of the first two, or none of the three'
            )
        self.dense_neck = MODELS.build(neck)
        if getattr(self.dense_neck, 'with_avg_pool', False):
            raise UserError(
                'dense_neck gets rows of single places and has nothing to '
                'pool: set dense_neck.with_avg_pool=False'
            )
        built = MODELS.build(head)
        if not isinstance(built, DenseSCEHead):
            raise UserError(
                "dense_head must be of type 'DenseSCEHead', got "
                f'{type(built).__name__!r}'
            )
        self.dense_head = built
        self.dense_queue = _build_queue('dense_queue', queue, neck)
        if queue is None and not built.in_batch_keys:
            raise UserError(f'dense_queue, dense_head: {NO_CANDIDATES}')

    def _build_pyramid(self, config: dict | None) -> nn.Module | None:
        if config is None:
            return None
        if self.dense_head is None:
            raise UserError(
                'the loss between places trains the pyramid, and there is '
                'none: give dense_neck and dense_head too, or leave pyramid '
                'out'
            )
        if self.dense_head.level != -1:
            raise UserError(
                f'dense_head.level={self.dense_head.level} is an output of '
                'the backbone, and places are taken from all levels of the '
                'pyramid: leave one of the two out'
            )
        return MODELS.build(config)

    def _with_dense_loss(
        self,
        losses: dict[str, Tensor],
        online: Sequence[_Encoded | None],
        targets: Sequence[_Encoded],
        shared: Tensor,
    ) -> dict[str, Tensor]:
        """Add the loss between places, and its values for the log.

        Args:
            losses: Values of the loss between images.
            online: Queries of each view; None for one without.
            targets: Keys of each target view.
            shared: ``[N P]``, 1 where both views show the place, else 0.

        Returns:
            See :meth:`loss`.
        """
        assert self.dense_head is not None
        dense, batch_keys = _compare(
            self.dense_head,
            [view and view[1] for view in online[:DENSE_VIEWS]],
            [key for _, key in targets[:DENSE_VIEWS] if key is not None],
            self.dense_queue,
            weights=shared,
        )
        if self.training:
            self._pending_dense.append(batch_keys)
        loss, dense_loss = losses['loss'], dense.pop('loss')
        return {
            **losses,
            'loss': loss + self.dense_head.weight * dense_loss,
            'global_sce': loss.detach(),
            'dense_sce': dense_loss.detach(),
            'dense_shared': shared.mean(),
            **{f'dense_{name}': value for name, value in dense.items()},
        }

    def _check_updated(self) -> None:
        if self.training and len(self._pending) >= self.micro_batches_per_step:
            raise UserError(
                'the momentum encoder was not updated after the previous '
                'optimiser step: set default_hooks.momentum_update to '
                "dict(type='MomentumUpdateHook'), or call "
                'model.after_optimizer_step(momentum) after optimizer.step() '
                'in a custom loop'
            )

    def _check_views(self, inputs: Sequence[Tensor]) -> None:
        needed = max(2, self.num_target_views)
        if isinstance(inputs, Tensor) or len(inputs) < needed:
            raise UserError(
                f'SCE with num_target_views={self.num_target_views} needs a '
                f'list of at least {needed} views of each image, got '
                f'a {type(inputs).__name__} of {len(inputs)}: check the '
                'pipeline (SCEViews or MultiView, then PackInputs)'
            )
        sizes = [len(x) for x in inputs]
        if len(set(sizes)) > 1:
            raise UserError(
                f'all views must show the same images, got batches of {sizes}'
            )


def _check_arguments(
    num_target_views: int, shuffle_bn: dict | None, momentum: Any
) -> None:
    """Check what no part of the model checks."""
    if momentum is not None:
        raise UserError(
            f'momentum={momentum} is not an option of the model: set '
            'default_hooks.momentum_update.momentum of the '
            'MomentumUpdateHook. It is the weight of the online '
            'parameters: for a decay of 0.99 write 0.01'
        )
    if num_target_views < 1:
        raise UserError(
            'num_target_views must be at least 1 (1 is asymmetric, 2 '
            f'symmetric), got {num_target_views}'
        )
    if shuffle_bn and set(shuffle_bn) != {'simulated_devices'}:
        raise UserError(
            'shuffle_bn takes simulated_devices, for example '
            f'dict(simulated_devices=8); got {shuffle_bn}'
        )


def _compare(
    head: SCEHead,
    queries: Sequence[Tensor | None],
    keys: Sequence[Tensor],
    queue: MemoryQueue | None,
    weights: Tensor | None = None,
) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Values of a head, and the keys of all processes for each target view.

    The keys are ``[W N, D]``, in rank order.
    """
    ranks = all_gather(torch.stack(list(keys)))
    batch_keys = list(torch.cat(ranks, dim=1))
    rows = None if queue is None else queue.features
    losses = head.loss(queries, keys, batch_keys, rows, weights)
    if queue is not None:
        losses['queue_filled'] = queue.filled_share()
    return losses, batch_keys


# Data samples are objects of Python, other ones at each step.
@torch.compiler.disable
def _locate(
    head: DenseSCEHead,
    inputs: Sequence[Tensor],
    data_samples: Sequence[Any] | None,
) -> tuple[list[Lattice], Tensor]:
    """What ``head.locate`` finds, in float64 on the host, on the device."""
    boxes: list[Any] = [
        getattr(x, 'view_boxes', None) for x in data_samples or ()
    ]
    if not boxes or any(x is None or len(x) != len(inputs) for x in boxes):
        raise UserError(NO_BOXES)
    points, shared = head.locate(torch.from_numpy(np.stack(boxes)).double())

    def moved(x: Tensor) -> Tensor:
        return x.to(inputs[0].device, inputs[0].dtype, non_blocking=True)

    return [Lattice(*map(moved, x)) for x in points], moved(shared)


def _build_queue(
    name: str, queue: dict | None, neck: dict
) -> MemoryQueue | None:
    if queue is None:
        return None
    if 'length' not in queue or set(queue) - {'length', 'dim'}:
        raise UserError(
            f'{name} takes length and dim, for example dict(length=65536); '
            f'got {queue}'
        )
    dim = queue.get('dim', neck.get('out_channels'))
    if dim is None:
        raise UserError(
            'the width of the embeddings is not known from the config of '
            f'the neck (it has no out_channels): give {name}=dict(length=..., '
            'dim=...)'
        )
    return MemoryQueue(queue['length'], dim)
