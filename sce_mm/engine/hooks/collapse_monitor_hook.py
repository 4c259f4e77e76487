"""Warn when the embeddings collapse."""

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch import Tensor

from ...models import MemoryQueue
from ...utils.errors import UserError
from ..runner.training import unwrap_sce
from .deferred_log_hook import flush_deferred

_NO_SPREAD = (
    'collapse: embedding_std is {:.3f} (1 over the sphere, 0 on one point), '
    'all images look alike to the network. Lower the learning rate, lengthen '
    'the warm-up, check that the neck has batch norm and that the momentum is '
    'small'
)
_FEW_DIRECTIONS = (
    'dimensional collapse: the keys use {:.1%} of their directions. Stronger '
    'augmentation and a larger queue help against it'
)
_EMPTY_TARGETS = (
    'empty targets: the neighbours are {:.0%} of the length of the queue, so '
    'relations say nothing. Lower target_temperature'
)


class CollapseError(UserError):
    """The embeddings have collapsed; more training does not help."""


@HOOKS.register_module()
class CollapseMonitorHook(Hook):
    """Watch spread, effective rank and targets; warn with patience.

    Every ``interval`` iterations, once the queue is full, it looks at

    - ``embedding_std``: 1 over the sphere, 0 on one point;
    - ``effective_rank`` of the queue (logged): exp of the entropy of its
      normalised singular values (Roy and Vetterli, EUSIPCO 2007), the
      directions that the keys really use of D;
    - ``neighbours``: exp of the entropy of the relations in the target; as
      many as there are candidates means that the target says nothing.

    With a ``dense_head`` the same is asked of places: ``dense_embedding_std``
    and so on.

    What has been wrong ``patience`` times in a row is a warning; with
    ``stop=True`` it ends the run with ``CollapseError``.

    Args:
        interval: Number of iterations between two looks.
        min_std: Smallest ``embedding_std`` that is not a collapse.
        min_rank: Smallest effective rank that is not a collapse, as a share
            of D.
        max_neighbours: Largest share of the queue that may count as
            neighbours.
        patience: Number of looks in a row before a warning.
        stop: Whether to stop the run instead of a warning.

    Raises:
        UserError: ``interval`` or ``patience`` is below one.
        CollapseError: In training, if ``stop`` says so.
    """

    priority = 'BELOW_NORMAL'

    def __init__(
        self,
        interval: int = 500,
        min_std: float = 0.1,
        min_rank: float = 0.02,
        max_neighbours: float = 0.95,
        patience: int = 5,
        stop: bool = False,
    ) -> None:
        if min(interval, patience) < 1:
            raise UserError(
                'CollapseMonitorHook: interval and patience must be at least '
                f'1, got {interval} and {patience}'
            )
        self.interval = interval
        self.min_std = min_std
        self.min_rank = min_rank
        self.max_neighbours = max_neighbours
        self.patience = patience
        self.stop = stop
        self._in_a_row: dict[str, int] = {}

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """Check the embeddings; warn or stop."""
        if not self.every_n_train_iters(runner, self.interval):
            return
        flush_deferred(runner)
        model = unwrap_sce(runner, type(self).__name__)
        queues = {'': model.queue}
        if model.dense_head is not None:
            queues['dense_'] = model.dense_queue
        present = {k: q for k, q in queues.items() if q is not None}
        if any(float(q.filled_share()) < 1 for q in present.values()):
            return
        for prefix, queue in present.items():
            rank = float(effective_rank(queue.features))
            name = f'train/{prefix}effective_rank'
            runner.message_hub.update_scalar(name, rank)
        symptoms = {
            f'{prefix.replace("_", ": ")}{text}': value
            for prefix, queue in queues.items()
            for text, value in self._symptoms(runner, queue, prefix).items()
        }
        self._in_a_row = {
            text: self._in_a_row.get(text, 0) + 1 for text in symptoms
        }
        lasting = '; '.join(
            text.format(value)
            for text, value in symptoms.items()
            if self._in_a_row[text] >= self.patience
        )
        if not lasting:
            return
        report = (
            f'iteration {runner.iter + 1}, {self.patience} looks in a row: '
            f'{lasting}'
        )
        if self.stop:
            raise CollapseError(f'{report}. Stopped, as stop=True says')
        runner.logger.warning(report)

    def _symptoms(
        self, runner: Runner, queue: MemoryQueue | None, prefix: str
    ) -> dict[str, float]:
        """What is wrong now: sentences, and the value that each is about."""

        def mean(name: str, count: int) -> float:
            scalar = runner.message_hub.get_scalar(f'train/{prefix}{name}')
            return scalar.mean(count)

        std = mean('embedding_std', self.interval)
        symptoms = {_NO_SPREAD: std} if std < self.min_std else {}
        if queue is not None:
            length, dim = queue.features.shape
            rank = mean('effective_rank', 1) / dim
            if rank < self.min_rank:
                symptoms[_FEW_DIRECTIONS] = rank
            share = mean('neighbours', self.interval) / length
            if share > self.max_neighbours:
                symptoms[_EMPTY_TARGETS] = share
        return symptoms


@torch.no_grad()
def effective_rank(rows: Tensor) -> Tensor:
    """``exp(-sum p log p)``, p the normalised singular values of ``[N, D]``.

    From 1 (all rows on a line through their mean) to D. The singular values
    come from the D x D covariance; rows that are all equal have rank 1.
    """
    centred = (rows - rows.mean(0)).double()
    squares = torch.linalg.eigvalsh(centred.T @ centred).clamp_min(0)
    values = squares.sqrt()
    shares = values / values.sum().clamp_min(torch.finfo(values.dtype).tiny)
    return torch.special.entr(shares).sum().exp()
