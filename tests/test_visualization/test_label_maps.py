"""Colours of classes on images."""

from itertools import combinations

import cv2
import numpy as np
import pytest

from sce_mm.visualization.label_maps import palette


@pytest.mark.parametrize(('count', 'apart'), [(21, 25), (150, 15)])
def test_classes_have_colours_that_are_told_apart(count, apart):
    colours = palette(count)
    assert colours[:5] == palette(5)
    rgb = np.array([[*colours, [60, 60, 60]]], np.float32) / 255
    places = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[0]
    distances = [np.linalg.norm(a - b) for a, b in combinations(places, 2)]
    assert min(distances) > apart
