"""The SVM protocol: its classifier, its draws, its mean."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.svm import LinearSVC

from sce_mm.evaluation.protocols.average_precision import (
    area_average_precision,
)
from sce_mm.evaluation.protocols.linear_transfer_data import Split
from sce_mm.evaluation.protocols.voc_svm import (
    draw_low_shot,
    full_svm,
    low_shot_svm,
    normalised,
)


@pytest.fixture(scope='module')
def digits() -> tuple[Split, Split]:
    """Real digits that show their number and whether it is even."""
    pixels, numbers = load_digits(return_X_y=True)
    targets = np.stack(
        [*(numbers == n for n in range(3)), numbers % 2 == 0], axis=1
    )
    features = normalised(pixels)
    return (
        Split(features[:300], targets[:300]),
        Split(features[300:600], targets[300:600]),
    )


def test_features_are_divided_by_their_norm_plus_a_little():
    features = np.array([[3.0, 4.0], [0.0, 0.0]])

    expected = [[3 / (5 + 1e-5), 4 / (5 + 1e-5)], [0, 0]]
    np.testing.assert_allclose(normalised(features), expected, rtol=1e-12)


def test_full_set_equals_classifiers_of_the_protocol(digits):
    train, test = digits

    result = full_svm(train, test, cost=0.3)

    precisions = []
    for label in range(4):
        classifier = LinearSVC(
            C=0.3,
            class_weight={1: 2, -1: 1},
            dual=True,
            max_iter=2000,
            tol=1e-4,
            random_state=0,
        ).fit(train.features, 2 * train.labels[:, label].astype(int) - 1)
        scores = classifier.decision_function(test.features)
        precisions.append(
            area_average_precision(test.labels[:, label], scores)
        )
    assert result == pytest.approx(100 * np.mean(precisions))
    assert 80 < result < 100


def test_a_draw_has_k_images_of_each_class_and_smaller_ones_are_part_of_it(
    digits,
):
    targets = digits[0].labels

    drawn = draw_low_shot(targets, 5, seed=3)

    assert len(drawn) == 4 * 5
    for label, images in enumerate(drawn.reshape(4, 5)):
        assert targets[images, label].all()
        assert len(set(images.tolist())) == 5
    fewer = draw_low_shot(targets, 2, seed=3).reshape(4, 2)
    assert (fewer == drawn.reshape(4, 5)[:, :2]).all()
    assert (draw_low_shot(targets, 5, seed=4) != drawn).any()
    # An image of two classes can be drawn twice.
    both = np.array([[1, 1], [0, 0]], bool)
    assert draw_low_shot(both, 1, seed=0).tolist() == [0, 0]


def test_low_shot_is_the_mean_over_its_draws(digits):
    train, test = digits

    result = low_shot_svm(train, test, shots=3, runs=2)

    singles = []
    for seed in range(2):
        subset = draw_low_shot(train.labels, 3, seed)
        part = Split(train.features[subset], train.labels[subset])
        singles.append(full_svm(part, test))
    assert result == pytest.approx(np.mean(singles))
    assert singles[0] != singles[1]


def test_mistakes_are_explained(digits):
    train, test = digits
    with pytest.raises(ValueError, match=r'40 images .* class 0 has 3'):
        draw_low_shot(train.labels, 40, seed=0)
    everywhere = train._replace(labels=train.labels | True)
    with pytest.raises(ValueError, match='class 0 is in 300 of 300'):
        full_svm(everywhere, test)
