"""Detections beside labels."""

import numpy as np

from sce_mm.visualization.detections import Instance, detection_row, match


def test_an_object_is_found_once_by_the_surest_detection_of_its_class():
    cat, dog = (
        Instance((0, 0, 10, 10), 'cat'),
        Instance((20, 0, 30, 10), 'dog'),
    )
    found = [
        cat._replace(score=0.3),
        cat._replace(score=0.8, box=(1, 0, 11, 10)),
        dog._replace(score=0.9, name='cat'),
        dog._replace(score=0.1, box=(27, 0, 37, 10)),
    ]
    assert match([cat, dog], found) == [None, 0, None, None]
    assert match([], found) == [None] * 4


def test_right_wrong_and_missed_differ_in_more_than_colour():
    cat = Instance((0, 0, 10, 10), 'cat')
    dog = Instance((20, 0, 30, 10), 'dog')
    html = detection_row(
        np.zeros((40, 60, 3), np.uint8),
        [cat, dog],
        {'<ours>': [cat, dog._replace(name='cat')], 'nothing': []},
        200,
        ['cat', 'dog', 'cow'],
    )
    assert '&lt;ours&gt;: 1 of 2 found, 1 wrong' in html
    assert 'nothing: 0 of 2 found, 0 wrong' in html
    for kind, count in (('right', 3), ('wrong', 1), ('missed', 3)):
        assert html.count(f'class="line {kind}"') == count
    # Short, and not to be taken for a class that is not on the image.
    assert '>✗ ca<' in html
    assert html.count('>?<') == 3
