"""Maps of features, and the images on them."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from sce_mm.visualization.embedding import (
    class_colours,
    project,
    spread_out,
)


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


def test_points_that_are_kept_cover_no_other():
    points = np.array([[0, 0], [0.05, 0], [0.05, 0.2], [0.11, 0], [0, 0.1]])

    assert spread_out(points, 0.1) == [0, 2, 3, 4]


@pytest.mark.parametrize('count', [10, 20, 200])
def test_every_class_has_a_colour_of_its_own(count: int):
    colours = {tuple(colour) for colour in class_colours(count)}

    assert len(colours) == count


def test_more_neighbours_than_images_are_refused():
    with pytest.raises(ValueError, match='between 1 and the 5 images, got 30'):
        project(np.eye(5))
