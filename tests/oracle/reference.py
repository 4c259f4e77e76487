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


def shared_places(box, other, grid, min_overlap):
    """Where two views (top, left, height, width, mirrored) show the same.

    For each point of a grid over the intersection of the crops its (v, u) in
    the one view and in the other, as shares of their heights and widths; and
    whether the crops have enough in common. If not, a grid of each crop.
    """
    top, left = max(box[0], other[0]), max(box[1], other[1])
    bottom = min(box[0] + box[2], other[0] + other[2])
    right = min(box[1] + box[3], other[1] + other[3])
    area = max(0, bottom - top) * max(0, right - left)
    smaller = min(box[2] * box[3], other[2] * other[3])
    shared = area > 0 and area >= min_overlap * smaller
    places = []
    for view in (box, other):
        y, x, height, width = (
            (top, left, bottom - top, right - left) if shared else view[:4]
        )
        points = []
        for i in range(grid):
            for j in range(grid):
                v = y + (i + 0.5) / grid * height
                u = x + (j + 0.5) / grid * width
                v, u = (v - view[0]) / view[2], (u - view[1]) / view[3]
                points.append((v, 1 - u if view[4] else u))
        places.append(points)
    return places[0], places[1], shared


def bilinear(feature_map, v, u):
    """Value of a map [C, h, w] at a place, cell centres at (i + 0.5) / h."""
    _, height, width = feature_map.shape
    y = min(max(v * height - 0.5, 0.0), height - 1.0)
    x = min(max(u * width - 0.5, 0.0), width - 1.0)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = y - top, x - left
    upper = (1 - across) * feature_map[:, top, left]
    upper = upper + across * feature_map[:, top, right]
    lower = (1 - across) * feature_map[:, bottom, left]
    lower = lower + across * feature_map[:, bottom, right]
    return (1 - down) * upper + down * lower
