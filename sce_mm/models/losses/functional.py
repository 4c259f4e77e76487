"""The mathematics of the SCE loss: pure functions without state.

Legend of shapes::

    N  queries; the i-th query and the i-th key are two views of image i
    C  candidates: other keys of the batch (if asked for), then the queue
    D  embedding width; every row is L2-normalised by the caller

The objective of Denize et al., "Similarity Contrastive Estimation for
Self-Supervised Soft Contrastive Learning" (WACV 2023), for one query q, its
key k and candidates c_j::

    s_j = softmax_j(k.c_j / target_temperature)          relation
    w   = coeff on the key, (1 - coeff) s_j on c_j       target distribution
    p   = softmax over {k, c_j} of (q.x / temperature)   prediction
    L   = - sum_x w(x) log p(x)

The target sums to one and the logits are linear in q, so the target enters
the loss through one vector per key only, ``u = sum_j s_j c_j``::

    L = coeff (log Z - q.k / t) + (1 - coeff) (log Z - q.u / t)
    log Z = log( e^{q.k / t} + sum_j e^{q.c_j / t} ),   t = temperature

The sums over the candidates are in :mod:`~sce_mm.models.losses.softmax`:
``attend`` for u, once per key, and ``log_partition`` for the part of log Z
that the candidates have, once per query. :func:`relate` and :func:`contrast`
make the terms of the loss of them, :func:`combine` the loss.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .softmax import Softmax, at_least_float32, merge


class Relation(NamedTuple):
    """Similarities of a key to its candidates, without a gradient.

    Attributes:
        centroid: ``u = sum_j s_j c_j``, ``[N, D]``.
        entropy: Entropy of s in nats, ``[N]``; ``exp(entropy)`` is the
            effective number of neighbours.
        positive_share: Mass that the relation itself gives to the positive,
            ``[N]``: zero, except with the zero logit of the official code.
    """

    centroid: Tensor
    entropy: Tensor
    positive_share: Tensor


class Contrast(NamedTuple):
    """The terms of the loss for each query, ``[N]`` each.

    With p the share of the prediction that lies on the positive and s' the
    prediction renormalised without it:

    Attributes:
        contrastive: InfoNCE, ``-log p``.
        relational: Cross-entropy of relation and prediction without the
            positive, ``-sum_j s_j log s'_j`` (the loss of ReSSL).
        ceiling: ``-log(1 - p)``.
    """

    contrastive: Tensor
    relational: Tensor
    ceiling: Tensor


@torch.no_grad()
def relate(
    keys: Tensor,
    parts: Sequence[Softmax],
    target_temperature: float,
    zero_logit: bool = False,
) -> Relation:
    """Relation of each key to its candidates.

    Its entropy needs no further look at the candidates: the logits are linear
    in the key, so ``H(s) = log Z - k.u / t``.

    Args:
        keys: ``[N, D]``.
        parts: :func:`~sce_mm.models.losses.softmax.attend` of the keys, once
            for each tensor of candidates.
        target_temperature: The temperature that ``attend`` was given.
        zero_logit: Give the positive a similarity of zero instead of leaving
            it out, as the released code does when the candidates are the
            queue alone. The positive then gets ``1 / (1 + sum_j e^{k.c_j/t})``
            of the relation, which vanishes for a long queue.
    """
    log_z, centroid = merge(parts)
    related = (at_least_float32(keys) * centroid).sum(dim=1)
    positive_share = torch.zeros_like(log_z)
    if zero_logit:
        positive_share = torch.exp(-torch.logaddexp(log_z, positive_share))
    entropy = log_z - related / target_temperature
    return Relation(centroid, entropy, positive_share)


def contrast(
    queries: Tensor,
    keys: Tensor,
    relation: Relation,
    candidates_log_z: Tensor,
    temperature: float,
) -> Contrast:
    """The three terms of SCE for each query against its key.

    Args:
        queries: ``[N, D]``, with gradient.
        keys: ``[N, D]``.
        relation: :func:`relate` of the same keys.
        candidates_log_z: :func:`log_partition` of the same queries.
        temperature: Temperature of the online branch.
    """
    queries = at_least_float32(queries)
    positive = (queries * at_least_float32(keys)).sum(dim=1) / temperature
    related = (queries * relation.centroid).sum(dim=1) / temperature
    log_z = torch.logaddexp(positive, candidates_log_z)
    return Contrast(
        contrastive=log_z - positive,
        relational=candidates_log_z - related,
        ceiling=log_z - candidates_log_z,
    )


def combine(
    terms: Contrast,
    relation: Relation,
    coeff: float,
    relation_weight: float | None = None,
    ceiling_weight: float | None = None,
) -> Tensor:
    """``coeff InfoNCE + relation_weight ReSSL + ceiling_weight Ceil``.

    Both weights default to ``1 - coeff``, which is SCE. ``(0, 1, 0)`` is
    ReSSL itself, in which the positive takes no part; ``coeff = 1`` is the
    InfoNCE loss of MoCo. What the relation gives to the positive (only with
    the zero logit) moves from the last two terms to the first. ``[N]``.
    """
    relation_weight = 1 - coeff if relation_weight is None else relation_weight
    ceiling_weight = 1 - coeff if ceiling_weight is None else ceiling_weight
    share = relation.positive_share
    return (
        (coeff + relation_weight * share) * terms.contrastive
        + relation_weight * (1 - share) * terms.relational
        + ceiling_weight * (1 - share) * terms.ceiling
    )


def target_entropy(relation: Relation, coeff: float) -> Tensor:
    """Entropy of the target distribution in nats: the floor of the loss.

    ``H_b(m) + (1 - m) H(s)`` with m the mass on the positive, ``[N]``.
    """
    mass = coeff + (1 - coeff) * relation.positive_share
    binary = torch.special.entr(mass) + torch.special.entr(1 - mass)
    return binary + (1 - mass) * relation.entropy
