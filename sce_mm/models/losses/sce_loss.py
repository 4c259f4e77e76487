"""SCELoss, the registered loss module, and sce_loss for one pair of views."""

from collections.abc import Sequence

import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ...utils.errors import UserError
from .candidates import Candidates, log_partitions, relate_views
from .checks import check_shapes, check_unit_rows
from .functional import Contrast, Relation, combine, contrast, target_entropy
from .softmax import ChunkSize

# SCE and SCEHead raise these too, when a model is built.
NO_CANDIDATES = (
    'SCE needs something to compare with: give the model a queue, such as '
    'queue=dict(length=65536), or set in_batch_keys=True in the head, or both'
)
NO_OTHER_KEYS = (
    'a batch of one image has no other keys to compare with: set a larger '
    'train_dataloader.batch_size (drop_last=True drops a short last batch), '
    'or in_batch_keys=False and a queue'
)
NO_ZERO_LOGIT = (
    'official_zero_logit has no meaning with in_batch_keys=True: the official '
    'code masks the positive there, as we do'
)


@MODELS.register_module()
class SCELoss(nn.Module):
    """Similarity Contrastive Estimation over pairs of views.

    The default is the loss of the paper, written out in
    :mod:`sce_mm.models.losses.functional`. Baselines are settings of it:
    ``coeff=1`` is InfoNCE (MoCo), and ``coeff=0, relation_weight=1,
    ceiling_weight=0`` is ReSSL.

    The attributes ``coeff``, ``temperature`` and ``target_temperature`` are
    read at each call, so that :class:`ScheduledValueHook` can move them.

    Args:
        temperature: It divides the similarities of the online branch.
        target_temperature: It divides the similarities among target
            embeddings, and should be lower than ``temperature``. The default
            is that of the ImageNet recipe.
        coeff: Weight of the positive in the target, in [0, 1].
        relation_weight: Weight of the relational term; None is ``1 - coeff``.
        ceiling_weight: Weight of the ceiling term; None is ``1 - coeff``.
        official_zero_logit: Put the positive into the target's softmax with a
            similarity of zero, as the released code does, instead of leaving
            it out, as the paper does. For parity; needs a queue and no keys
            of the batch.
        chunk_size: Candidates that are compared at once. ``'auto'`` takes as
            many as the device works through fastest, so that memory grows
            with batch + queue; None compares with all of them in the plain
            form, whose memory grows with batch x queue. The results are the
            same up to rounding.

    Raises:
        UserError: A number is out of range or options exclude each other.
    """

    def __init__(
        self,
        temperature: float = 0.1,
        target_temperature: float = 0.07,
        coeff: float = 0.5,
        relation_weight: float | None = None,
        ceiling_weight: float | None = None,
        official_zero_logit: bool = False,
        chunk_size: ChunkSize = 'auto',
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.target_temperature = target_temperature
        self.coeff = coeff
        self.relation_weight = relation_weight
        self.ceiling_weight = ceiling_weight
        self.official_zero_logit = official_zero_logit
        self.chunk_size = chunk_size
        self._rows_seen = False
        for name in ('temperature', 'target_temperature'):
            if not getattr(self, name) > 0:
                raise UserError(
                    f'{name} must be positive, got {getattr(self, name)}; '
                    'the paper uses 0.1 online and 0.05 to 0.07 for the target'
                )
        if not 0 <= coeff <= 1:
            raise UserError(
                f'coeff must be in [0, 1], got {coeff}: it is the share of '
                'the target that lies on the positive (the paper uses 0.5)'
            )
        weights = [relation_weight, ceiling_weight]
        if any(weight is not None and weight < 0 for weight in weights):
            raise UserError(
                'relation_weight and ceiling_weight must not be negative, got '
                f'{weights}'
            )
        if official_zero_logit and weights != [None, None]:
            raise UserError(
                'official_zero_logit defines only the plain loss: leave '
                'relation_weight and ceiling_weight at None'
            )
        if chunk_size not in ('auto', None) and (
            type(chunk_size) is not int or chunk_size < 1
        ):
            raise UserError(
                "chunk_size must be 'auto', a positive number of candidates, "
                f'or None for the plain form, got {chunk_size!r}'
            )

    # Compiled code is made for one value of each number that a schedule moves,
    # and for one count of chunks; under torch.compile the loss runs as it is.
    @torch.compiler.disable
    def forward(
        self,
        queries: Sequence[Tensor],
        keys: Sequence[Tensor],
        pairs: Sequence[tuple[int, int]],
        queue: Tensor | None = None,
        batch_keys: Sequence[Tensor] | None = None,
        first_row: int = 0,
        weights: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Mean loss over pairs and batch.

        All rows must be L2-normalised. On a CPU each call checks that, on
        other devices only the first, as the host has to wait for them.

        Args:
            queries: Online embeddings, ``[N, D]`` for each online view.
            keys: Target embeddings, ``[N, D]`` for each target view.
            pairs: Positions in ``queries`` and ``keys`` of each query and the
                key that it learns from.
            queue: ``[K, D]``, keys of earlier steps.
            batch_keys: Keys ``[M, D]`` of all processes for each target view,
                if they are to be candidates too.
            first_row: Where this process's keys start within ``batch_keys``.
            weights: ``[N]``, factors of the terms of each row. The mean is
                over all N rows still, so that a weight of zero leaves out a
                row and not its share.

        Returns:
            ``loss`` with gradient; for the log and without gradient
            ``contrastive`` and ``relational`` (``coeff`` times the one and
            ``1 - coeff`` times the other are the loss; if weights are given,
            the terms that they weight, and ``ceiling`` too),
            ``target_entropy`` (nats; the floor of the loss), ``neighbours``
            (effective number of candidates in the relation), and the current
            ``coeff`` and ``target_temperature``.

        Raises:
            UserError: There are no candidates besides the positive, shapes
                or positions do not fit, or rows are not normalised.
        """
        check_shapes(queries, keys, pairs, queue, batch_keys, first_row)
        if queue is None and batch_keys is None:
            raise UserError(NO_CANDIDATES)
        own = None
        if batch_keys is not None:
            if self.official_zero_logit:
                raise UserError(NO_ZERO_LOGIT)
            if len(batch_keys[0]) < 2:
                raise UserError(NO_OTHER_KEYS)
            rows = torch.arange(len(keys[0]), device=keys[0].device)
            own = first_row + rows
        candidates = Candidates(queue, batch_keys, own)
        if not self._rows_seen or keys[0].device.type == 'cpu':
            check_unit_rows(
                queries=queries,
                keys=keys,
                queue=() if queue is None else (queue,),
                batch_keys=batch_keys or (),
            )
            self._rows_seen = True
        # Similarities are divided by temperatures down to 0.03: half
        # precision has no digits left for that.
        with torch.autocast(keys[0].device.type, enabled=False):
            relations = relate_views(
                keys,
                candidates,
                self.target_temperature,
                self.official_zero_logit,
                self.chunk_size,
            )
            log_z = log_partitions(
                queries, pairs, candidates, self.temperature, self.chunk_size
            )
            # Pairs and batch are one long batch from here on.
            by_pair = [relations[j] for _, j in pairs]
            relation = Relation(*map(torch.cat, zip(*by_pair, strict=True)))
            terms = contrast(
                torch.cat([queries[i] for i, _ in pairs]),
                torch.cat([keys[j] for _, j in pairs]),
                relation,
                log_z,
                self.temperature,
            )
            if weights is not None:
                weights = weights.repeat(len(pairs))
            return self._summary(terms, relation, weights)

    def _summary(
        self, terms: Contrast, relation: Relation, row_weights: Tensor | None
    ) -> dict[str, Tensor]:
        def mean(x: Tensor) -> Tensor:
            return (x if row_weights is None else x * row_weights).mean()

        weights = self.coeff, self.relation_weight, self.ceiling_weight
        loss = mean(combine(terms, relation, *weights))
        parts = {name: x.detach() for name, x in terms._asdict().items()}
        if weights[1:] == (None, None):
            # Both have one weight: -sum_x s(x) log p(x) of the relation s.
            share = relation.positive_share
            outside = parts['relational'] + parts.pop('ceiling')
            parts['relational'] = outside.lerp(parts['contrastive'], share)
        return {
            'loss': loss,
            **{name: mean(x) for name, x in parts.items()},
            'target_entropy': mean(target_entropy(relation, self.coeff)),
            'neighbours': relation.entropy.exp().mean(),
            # Fills on the device; a copy from the host would wait for it.
            'coeff': torch.full_like(loss, self.coeff),
            'target_temperature': torch.full_like(
                loss, self.target_temperature
            ),
        }


def sce_loss(
    queries: Tensor,
    keys: Tensor,
    queue: Tensor,
    temperature: float = 0.1,
    target_temperature: float = 0.07,
    coeff: float = 0.5,
) -> Tensor:
    """The SCE loss of one pair of views, for a custom training loop.

    >>> import torch
    >>> from torch.nn.functional import normalize
    >>> queries = normalize(torch.tensor([(4.0, 3, 0), (0, 5, 12)]))
    >>> keys = normalize(torch.tensor([(3.0, 4, 0), (0, 3, 4)]))
    >>> queue = normalize(torch.tensor([(0.0, 0, 1), (4, -3, 0), (0, -3, 4)]))
    >>> print(f'{sce_loss(queries, keys, queue):.4f}')
    2.4147

    Args:
        queries: Online embeddings of one view, ``[N, D]``, L2-normalised,
            with gradient.
        keys: Target embeddings of the other view of the same images,
            ``[N, D]``, L2-normalised.
        queue: Target embeddings of earlier images, ``[K, D]``.
        temperature: See :class:`SCELoss`.
        target_temperature: See :class:`SCELoss`.
        coeff: See :class:`SCELoss`.

    Returns:
        The mean over the batch, a scalar.

    Raises:
        UserError: A number is out of range, shapes do not fit, or rows are
            not normalised. Every call checks that, which makes the host wait
            for a GPU; :class:`SCELoss` checks once.
    """
    loss = SCELoss(temperature, target_temperature, coeff)
    return loss([queries], [keys], [(0, 0)], queue)['loss']
