"""The linear probe against scikit-learn by hand, and its refusals."""

import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from sce_mm.evaluation.protocols.linear_probe import linear_probe


def blobs(
    per_class: int, noise: float, seed: int, classes: int = 3
) -> tuple[Tensor, Tensor]:
    """Clusters around the axes, in the order of the classes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat_interleave(per_class)
    centres = torch.nn.functional.one_hot(labels, 6).float()
    shift = torch.randn(len(labels), 6, generator=generator)
    return centres + noise * shift, labels


def test_separable_features_are_classified():
    result = linear_probe(*blobs(20, 0.05, 0), *blobs(20, 0.05, 1))

    assert result.accuracy == 100.0
    assert result.held_out[result.cost] == 100.0


def test_features_that_say_nothing_give_chance():
    features, labels = blobs(60, 0.05, 0)
    order = torch.randperm(len(labels), generator=torch.Generator())

    result = linear_probe(features[order], labels, *blobs(200, 0.05, 1))

    assert abs(result.accuracy - 100 / 3) < 15


def test_the_classifier_is_the_one_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    train_x, train_y = blobs(20, 0.6, 0)
    test_x, test_y = blobs(50, 0.6, 1)
    result = linear_probe(train_x, train_y, test_x, test_y, costs=[0.3])

    mean, std = train_x.mean(dim=0), train_x.std(dim=0, correction=0)
    classifier = LogisticRegression(C=0.3, max_iter=1000)
    classifier.fit(((train_x - mean) / std).numpy(), train_y.numpy())
    expected = classifier.score(
        ((test_x - mean) / std).numpy(), test_y.numpy()
    )
    assert result.cost == 0.3
    assert result.accuracy == pytest.approx(100 * expected)


def test_c_is_the_smallest_of_the_best_on_the_held_out_part():
    train = blobs(40, 0.8, 0)
    result = linear_probe(*train, *blobs(5, 0.8, 1), costs=[1, 1e-6, 1e-2])

    best = max(result.held_out.values())
    assert sorted(result.held_out) == [1e-6, 1e-2, 1]
    assert result.cost == min(
        c for c, accuracy in result.held_out.items() if accuracy == best
    )


def test_test_set_has_no_say_in_c():
    train = blobs(40, 0.8, 0)

    one = linear_probe(*train, *blobs(5, 0.8, 1))
    other = linear_probe(*train, *blobs(5, 0.8, 2))

    assert (one.cost, one.held_out) == (other.cost, other.held_out)


def test_global_generator_stays():
    np.random.seed(3)
    expected = np.random.rand()
    np.random.seed(3)

    linear_probe(*blobs(20, 0.5, 0), *blobs(5, 0.5, 1), costs=[0.1])

    assert np.random.rand() == expected


@pytest.mark.parametrize(
    ('train', 'options', 'message'),
    [
        (blobs(20, 0.1, 0), dict(costs=[]), r'positive numbers, got \[\]'),
        (blobs(20, 0.1, 0), dict(costs=[0]), r'positive numbers, got \[0\]'),
        (blobs(9, 0.1, 0, classes=1), {}, 'at least 2 classes, got 1'),
        (blobs(1, 0.1, 0), {}, r'classes \[0, 1, 2\] have one training im'),
        (blobs(2, 0.1, 0), {}, 'holding out 0.2 of 6 images leaves less'),
    ],
)
def test_mistakes_are_explained(train, options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        linear_probe(*train, *blobs(5, 0.1, 1), **options)


def test_missing_scikit_learn_is_explained(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, 'sklearn', None)

    with pytest.raises(ImportError, match='pip install scikit-learn'):
        linear_probe(*blobs(20, 0.1, 0), *blobs(20, 0.1, 1))
