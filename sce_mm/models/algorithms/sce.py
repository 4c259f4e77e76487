"""SCE: Similarity Contrastive Estimation as an mmpretrain algorithm.

Denize et al., "Similarity Contrastive Estimation for Self-Supervised Soft
Contrastive Learning", WACV 2023.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import all_gather
from mmpretrain.models import BaseSelfSupervisor
from mmpretrain.registry import MODELS
from torch import Tensor

from ..losses.sce_loss import NO_CANDIDATES
from ..losses.softmax import unit_rows
from ..utils.memory_queue import MemoryQueue
from ..utils.momentum_encoder import MomentumEncoder
from ..utils.widths import check_widths


@MODELS.register_module()
class SCE(BaseSelfSupervisor):
    """Online branch, momentum branch, queue, and the order of one step.

    The first ``num_target_views`` views go through the momentum encoder and
    give keys; every view that learns from another one goes through the online
    branch and gives queries. With two global views, ``num_target_views=1`` is
    the asymmetric loss (view 0 teaches view 1 and is not seen by the online
    branch) and 2 the symmetric one. Local crops follow the global views.

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
        data_preprocessor: Config of the data preprocessor.
        init_cfg: Initialisation config.
        momentum: Refused: it is an argument of ``MomentumUpdateHook``.

    Raises:
        ValueError: ``num_target_views`` is below one, the config of the
            queue is incomplete, there is nothing to compare with, a part is
            not as wide as the one before it, ``shuffle_bn`` does not fit the
            layers, or a momentum is given.
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
        data_preprocessor: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
        momentum: None = None,
    ) -> None:
        if momentum is not None:
            raise ValueError(
                f'momentum={momentum} is not an option of the model: set '
                'default_hooks.momentum_update.momentum of the '
                'MomentumUpdateHook. It is the weight of the online '
                'parameters: for a decay of 0.99 write 0.01'
            )
        super().__init__(
            backbone=backbone,
            neck=neck,
            head=head,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        if num_target_views < 1:
            raise ValueError(
                'num_target_views must be at least 1 (1 is asymmetric, 2 '
                f'symmetric), got {num_target_views}'
            )
        self.num_target_views = num_target_views
        if shuffle_bn and set(shuffle_bn) != {'simulated_devices'}:
            raise ValueError(
                'shuffle_bn takes simulated_devices, for example '
                f'dict(simulated_devices=8); got {shuffle_bn}'
            )
        self.momentum_encoder = MomentumEncoder(
            self.backbone, self.neck, **(shuffle_bn or {})
        )
        self.queue = None if queue is None else _build_queue(queue, neck)
        if self.queue is None and not getattr(
            self.head, 'in_batch_keys', True
        ):
            raise ValueError(NO_CANDIDATES)
        parts = {'neck': neck, 'head.predictor': head.get('predictor') or {}}
        check_widths(self.backbone, self.neck, parts | {'queue': queue or {}})
        # Forward passes whose gradients are summed up in one optimiser step.
        self.micro_batches_per_step = 1
        self._pending: list[list[Tensor]] = []
        if channels_last:
            # Convolutions take over the layout of their weights.
            self.to(memory_format=torch.channels_last)

    def init_weights(self) -> None:
        """Initialise the online branch and copy it to the momentum branch."""
        super().init_weights()
        self.momentum_encoder.copy_from(self.backbone, self.neck)

    def loss(
        self,
        inputs: Sequence[Tensor],
        data_samples: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Loss of one batch, and values for the log.

        Args:
            inputs: V views ``[N, 3, h, w]``, targets first.
            data_samples: Ignored; there are no labels.
            **kwargs: Ignored.

        Returns:
            See :meth:`SCEHead.loss`; ``queue_filled`` is the share of the
            queue that holds real keys.
        """
        self._check_views(inputs)
        if self.training and len(self._pending) >= self.micro_batches_per_step:
            raise RuntimeError(
                'the momentum encoder was not updated after the previous '
                'optimiser step: set default_hooks.momentum_update to '
                "dict(type='MomentumUpdateHook'), or call "
                'model.after_optimizer_step(momentum) after optimizer.step() '
                'in a custom loop'
            )
        keys = [self.encode_target(x) for x in inputs[: self.num_target_views]]
        # A lone target view has no other one to learn from.
        first = 1 if self.num_target_views == 1 else 0
        queries = [
            self.encode_online(x) if view >= first else None
            for view, x in enumerate(inputs)
        ]
        # Of all processes in rank order: for each target view [W N, D].
        ranks = all_gather(torch.stack(keys))
        batch_keys = list(torch.cat(ranks, dim=1))
        rows = None if self.queue is None else self.queue.features
        losses = self.head.loss(queries, keys, batch_keys, rows)
        if self.queue is not None:
            losses['queue_filled'] = self.queue.filled_share()
        if self.training:
            self._pending.append(batch_keys)
        return losses

    def encode_online(self, images: Tensor) -> Tensor:
        """Queries ``[N, D]`` of one view, L2-normalised."""
        (embedding,) = self.neck(self.backbone(images))
        return self.head(embedding)

    @torch.no_grad()
    def encode_target(self, images: Tensor) -> Tensor:
        """Keys ``[N, D]`` of one view, L2-normalised, without gradient.

        In float32 under any autocast, as the queue keeps them.
        """
        return unit_rows(self.momentum_encoder(images))

    def after_optimizer_step(self, momentum: float) -> None:
        """Enqueue the keys of the step and average the parameters.

        ``momentum`` is the small number, 0.01 for a decay of 0.99.
        """
        if self.queue is not None and self._pending:
            views = zip(*self._pending, strict=True)
            self.queue.enqueue(torch.cat([torch.cat(v) for v in views]))
        self._pending.clear()
        self.momentum_encoder.update(self.backbone, self.neck, momentum)

    def _check_views(self, inputs: Sequence[Tensor]) -> None:
        needed = max(2, self.num_target_views)
        if isinstance(inputs, Tensor) or len(inputs) < needed:
            raise ValueError(
                f'SCE with num_target_views={self.num_target_views} needs a '
                f'list of at least {needed} views of each image, got '
                f'a {type(inputs).__name__} of {len(inputs)}: check the '
                'pipeline (SCEViews or MultiView, then PackInputs)'
            )
        sizes = [len(x) for x in inputs]
        if len(set(sizes)) > 1:
            raise ValueError(
                f'all views must show the same images, got batches of {sizes}'
            )


def _build_queue(queue: dict, neck: dict) -> MemoryQueue:
    if 'length' not in queue or set(queue) - {'length', 'dim'}:
        raise ValueError(
            f'queue takes length and dim, for example dict(length=65536); '
            f'got {queue}'
        )
    dim = queue.get('dim', neck.get('out_channels'))
    if dim is None:
        raise ValueError(
            'the width of the embeddings is not known from the config of '
            'the neck (it has no out_channels): give queue=dict(length=..., '
            'dim=...)'
        )
    return MemoryQueue(queue['length'], dim)
