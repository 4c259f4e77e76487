"""Maps of features, and the images on them."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from sce_mm.visualization.embedding import project


def test_digits_of_a_class_lie_together_whatever_the_length_of_a_feature():
    pixels, numbers = load_digits(n_class=3, return_X_y=True)
    pixels, numbers = pixels[:120], numbers[:120]
    scales = np.random.default_rng(0).uniform(0.1, 10, (120, 1))

    points = project(pixels * scales, perplexity=10)

    distances = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(distances, np.inf)
    assert points.shape == (120, 2)
    assert (numbers[distances.argmin(axis=1)] == numbers).mean() > 0.95
    np.testing.assert_array_equal(
        points, project(pixels * scales, perplexity=10)
    )


def test_more_neighbours_than_images_are_refused():
    with pytest.raises(ValueError, match='between 1 and the 5 images, got 30'):
        project(np.eye(5))
