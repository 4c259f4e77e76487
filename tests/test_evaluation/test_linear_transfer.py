"""The linear transfer protocol: its classifier, its choice, its metrics."""

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from sce_mm.evaluation.protocols.average_precision import (
    eleven_point_average_precision,
)
from sce_mm.evaluation.protocols.linear_transfer import (
    held_out_split,
    joined,
    linear_transfer,
)
from sce_mm.evaluation.protocols.linear_transfer_data import Split
from sce_mm.evaluation.protocols.linear_transfer_sets import (
    MAP,
    METRICS,
    TOP1,
)


@pytest.fixture(scope='module')
def digits() -> tuple[Split, Split, Split]:
    """Real digits: training, validation and test part."""
    pixels, numbers = load_digits(return_X_y=True)
    cuts = (slice(200), slice(200, 300), slice(300, 600))
    return tuple(Split(pixels[cut] / 16, numbers[cut]) for cut in cuts)


def fit(part: Split, c: float, tol: float = 1e-4) -> LogisticRegression:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        classifier = LogisticRegression(C=c, max_iter=100, tol=tol)
        return classifier.fit(part.features, part.labels)


def test_chosen_on_validation_fitted_on_both_tested_once(digits):
    train, validation, test = digits
    penalties = (1e-2, 1.0, 1e3, 1e5)

    result = linear_transfer(*digits, TOP1, penalties)

    assert list(result.validation) == list(penalties)
    best = max(result.validation.values())
    assert result.validation[1e5] < best
    # The test split has no say in it; of equal scores the first is taken.
    shuffled = test._replace(labels=np.roll(test.labels, 1))
    other = linear_transfer(train, validation, shuffled, TOP1, penalties)
    assert other.validation == result.validation
    assert result.penalty == next(
        p for p in penalties if result.validation[p] == best
    )
    classifier = fit(joined(train, validation), 1 / result.penalty)
    expected = 100 * classifier.score(test.features, test.labels)
    assert result.score == pytest.approx(expected)
    assert result.score > other.score


def test_without_validation_split_a_fifth_is_held_out(digits):
    train, _, test = digits

    result = linear_transfer(train, None, test, TOP1, (0.1, 1e4))

    rest, held = held_out_split(train)
    named = linear_transfer(rest, held, test, TOP1, (0.1, 1e4))
    assert result.validation == named.validation
    classifier = fit(train, 1 / result.penalty)
    expected = 100 * classifier.score(test.features, test.labels)
    assert result.score == pytest.approx(expected)


def test_the_split_is_that_of_numpy_with_seed_0():
    split = Split(np.arange(11.0)[:, None], np.arange(11))
    indices = list(range(11))
    np.random.RandomState(0).shuffle(indices)

    rest, held = held_out_split(split)

    assert held.labels.tolist() == indices[:2]
    assert rest.labels.tolist() == indices[2:]
    assert rest.features[:, 0].tolist() == indices[2:]


def test_mean_per_class_does_not_weigh_by_size(digits):
    train, validation, test = digits
    # Of the class that is recognised worst a tenth is left.
    classifier = fit(joined(train, validation), 1.0)
    right = classifier.predict(test.features) == test.labels
    recalls = [right[test.labels == c].mean() for c in range(10)]
    few = test.labels == int(np.argmin(recalls))
    keep = ~few | (np.cumsum(few) % 10 == 1)
    part = Split(test.features[keep], test.labels[keep])

    plain, per_class = (
        linear_transfer(train, validation, part, metric, (1.0,)).score
        for metric in METRICS[:2]
    )

    kept = right[keep]
    expected = [kept[part.labels == c].mean() for c in range(10)]
    assert plain == pytest.approx(100 * kept.mean())
    assert per_class == pytest.approx(100 * np.mean(expected))
    assert plain != per_class


def softmax_of_two_columns(part: Split, penalty: float) -> np.ndarray:
    """Weights ``[2, D + 1]`` of the released code's classifier of a class."""
    x = np.hstack([part.features, np.ones((len(part.features), 1))])

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w = flat.reshape(2, -1)
        logits = x @ w.T
        logits -= logits.max(axis=1, keepdims=True)
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        error = np.exp(log_p)
        error[np.arange(len(x)), part.labels] -= 1
        gradient = error.T @ x
        gradient[:, :-1] += penalty * w[:, :-1]
        value = -log_p[np.arange(len(x)), part.labels].sum()
        value += penalty / 2 * (w[:, :-1] ** 2).sum()
        return value, gradient.ravel()

    start = np.zeros(2 * x.shape[1])
    found = minimize(loss, start, jac=True, options={'gtol': 1e-8})
    return found.x.reshape(2, -1)


def test_mean_average_precision_is_that_of_two_penalised_columns(digits):
    train, validation, test = (
        Split(
            part.features[:, 2:60:7],
            np.stack([part.labels % 2, part.labels > 4], axis=1).astype(int),
        )
        for part in digits
    )

    result = linear_transfer(train, validation, test, MAP, (3.0,))

    whole = joined(train, validation)
    expected = []
    for label in range(2):
        part = Split(whole.features, whole.labels[:, label])
        w = softmax_of_two_columns(part, 3.0)
        np.testing.assert_allclose(
            fit(part, 2 / 3.0, tol=1e-8).coef_[0],
            (w[1] - w[0])[:-1],
            atol=1e-4,
        )
        classifier = fit(part, 2 / 3.0)
        scores = classifier.decision_function(test.features)
        expected.append(
            eleven_point_average_precision(test.labels[:, label] > 0, scores)
        )
    assert result.score == pytest.approx(100 * np.mean(expected))


def test_mistakes_are_explained(digits):
    with pytest.raises(ValueError, match=r"one of top-1, .* got 'top1'"):
        linear_transfer(*digits, 'top1')
    with pytest.raises(ValueError, match='penalties must be positive'):
        linear_transfer(*digits, TOP1, (0.0,))
