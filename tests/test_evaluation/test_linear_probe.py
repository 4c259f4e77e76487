"""The linear probe against scikit-learn by hand, and its refusals."""

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


def test_c_is_the_smallest_of_the_best_and_the_test_set_has_no_say():
    train, costs = blobs(40, 0.8, 0), [1, 1e-6, 1e-2]
    np.random.seed(3)
    result, other = (
        linear_probe(*train, *blobs(5, 0.8, seed), costs=costs)
        for seed in (1, 2)
    )

    drawn = np.random.rand()
    best = max(result.held_out.values())
    assert sorted(result.held_out) == [1e-6, 1e-2, 1]
    assert result.cost == min(
        c for c, accuracy in result.held_out.items() if accuracy == best
    )
    assert (other.cost, other.held_out) == (result.cost, result.held_out)
    # Nothing was drawn from the global generator.
    np.random.seed(3)
    assert drawn == np.random.rand()


@pytest.mark.parametrize(
    ('train', 'options', 'message'),
    [
        (blobs(20, 0.1, 0), dict(costs=[0]), r'positive numbers, got \[0\]'),
        (blobs(9, 0.1, 0, classes=1), {}, 'at least 2 classes, got 1'),
        (blobs(1, 0.1, 0), {}, r'one training image only \(0, 1, 2\)'),
        (blobs(2, 0.1, 0), {}, 'holding out 0.2 of 6 images leaves less'),
    ],
)
def test_mistakes_are_explained(train, options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        linear_probe(*train, *blobs(5, 0.1, 1), **options)
