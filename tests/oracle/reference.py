"""SCE from the equations of the paper: float64, NumPy, nested loops.

Imports nothing of the package, so that both cannot share a mistake.
"""

import math

import numpy as np


def unit(rows) -> np.ndarray:
    rows = np.asarray(rows, dtype=np.float64)
    return rows / np.sqrt((rows**2).sum(axis=1, keepdims=True))


def target_and_prediction(
    query,
    key,
    candidates,
    own,
    temperature,
    target_temperature,
    coeff,
    zero_logit=False,
):
    """Target and prediction of one query as lists: positive, then others."""
    others = [c for j, c in enumerate(candidates) if j != own]
    relation = [math.exp(np.dot(key, c) / target_temperature) for c in others]
    total = sum(relation) + (1.0 if zero_logit else 0.0)
    share = 1.0 / total if zero_logit else 0.0
    target = [coeff + (1 - coeff) * share]
    target += [(1 - coeff) * r / total for r in relation]
    logits = [np.dot(query, key) / temperature]
    logits += [np.dot(query, c) / temperature for c in others]
    partition = sum(math.exp(x) for x in logits)
    prediction = [math.exp(x) / partition for x in logits]
    return target, prediction


def sce_loss(
    queries,
    keys,
    candidates,
    temperature,
    target_temperature,
    coeff,
    own=None,
    zero_logit=False,
):
    """Mean over the batch of ``- sum target log prediction``."""
    losses = []
    for i, (query, key) in enumerate(zip(queries, keys, strict=True)):
        target, prediction = target_and_prediction(
            query,
            key,
            candidates,
            None if own is None else own[i],
            temperature,
            target_temperature,
            coeff,
            zero_logit,
        )
        losses.append(
            -sum(
                w * math.log(p)
                for w, p in zip(target, prediction, strict=True)
            )
        )
    return float(np.mean(losses))


def decomposed(
    queries,
    keys,
    candidates,
    temperature,
    target_temperature,
    weights,
    own=None,
):
    """``weights`` on InfoNCE, ReSSL and Ceil, each from its definition."""
    losses = []
    for i, (query, key) in enumerate(zip(queries, keys, strict=True)):
        relation, prediction = target_and_prediction(
            query,
            key,
            candidates,
            None if own is None else own[i],
            temperature,
            target_temperature,
            0.0,
        )
        positive, others = prediction[0], prediction[1:]
        rest = sum(others)
        terms = (
            -math.log(positive),
            -sum(
                s * math.log(p / rest)
                for s, p in zip(relation[1:], others, strict=True)
            ),
            -math.log(rest),
        )
        losses.append(
            sum(w * term for w, term in zip(weights, terms, strict=True))
        )
    return float(np.mean(losses))
