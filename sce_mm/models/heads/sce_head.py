"""The SCE head: predictor, normalisation, and which pairs of views count."""

from collections.abc import Sequence

import torch
from mmengine.dist import all_gather, get_rank
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ...utils.errors import UserError
from ..losses.sce_loss import NO_ZERO_LOGIT
from ..losses.softmax import at_least_float32, unit_rows


@MODELS.register_module()
class SCEHead(BaseModule):
    """Predict the target distribution of every target view from every other.

    Args:
        loss: Config of the loss, as a rule ``dict(type='SCELoss', ...)``.
        predictor: Config of a neck that maps projected embeddings to the same
            width, for the online branch alone; None for no predictor.
        in_batch_keys: Count the keys of the other images of the batch, of all
            processes, among the candidates.
        init_cfg: Initialisation config.

    Raises:
        UserError: Loss and candidates exclude each other.
    """

    def __init__(
        self,
        loss: dict,
        predictor: dict | None = None,
        in_batch_keys: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.loss_module = MODELS.build(loss)
        self.predictor: nn.Module | None = (
            None if predictor is None else MODELS.build(predictor)
        )
        self.in_batch_keys = in_batch_keys
        if in_batch_keys and getattr(
            self.loss_module, 'official_zero_logit', False
        ):
            raise UserError(NO_ZERO_LOGIT)

    def forward(self, embedding: Tensor) -> Tensor:
        """Query ``[N, D]`` of a projected embedding, L2-normalised float32."""
        if self.predictor is not None:
            (embedding,) = self.predictor((embedding,))
        return unit_rows(embedding)

    def loss(
        self,
        queries: Sequence[Tensor | None],
        keys: Sequence[Tensor],
        batch_keys: Sequence[Tensor],
        queue: Tensor | None,
        weights: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Mean over all pairs of a query and the key of another view.

        With T target views among V views, view t (< T) teaches each other
        view that has a query: ``L = mean_{t < T, v != t} L(q_v, k_t)``.

        Args:
            queries: Queries ``[N, D]`` of each view, or None where the view is
                a target only.
            keys: Keys ``[N, D]`` of each target view, the first T views,
                L2-normalised, without gradient.
            batch_keys: Keys ``[M, D]`` of all processes in rank order, for
                each target view.
            queue: ``[K, D]`` or None.
            weights: Factors ``[N]`` of the rows in the mean; None for equal
                ones.

        Returns:
            The dict of :meth:`SCELoss.forward`, and ``embedding_std``: the
            standard deviation of the queries over the batch of all processes
            times sqrt(D), averaged over dimensions and views. One is the
            value of embeddings spread over the sphere, zero is collapse.
        """
        online = [v for v, query in enumerate(queries) if query is not None]
        present = [query for query in queries if query is not None]
        pairs = [
            (i, t)
            for t in range(len(keys))
            for i, v in enumerate(online)
            if v != t
        ]
        losses = self.loss_module(
            present,
            keys,
            pairs,
            queue=queue,
            batch_keys=batch_keys if self.in_batch_keys else None,
            first_row=get_rank() * len(keys[0]),
            weights=weights,
        )
        losses['embedding_std'] = embedding_std(present)
        return losses


@torch.no_grad()
def embedding_std(embeddings: Sequence[Tensor]) -> Tensor:
    """Mean of the standard deviation over the batch, times sqrt(D).

    Of the batch of all processes: its variance is the mean of theirs plus
    the variance of their means, as their batches are equally large.
    """
    rows = torch.stack([at_least_float32(x) for x in embeddings])
    own = torch.stack([rows.var(dim=1, correction=0), rows.mean(dim=1)])
    variances, means = torch.stack(all_gather(own)).unbind(dim=1)
    variance = variances.mean(dim=0) + means.var(dim=0, correction=0)
    return variance.sqrt().mean() * rows.shape[-1] ** 0.5
