"""Labels that no detector can use are listed before anything starts."""

import json
import math

import pytest

from sce_mm.datasets.coco_labels import is_mask, notes, read_coco


def content():
    """Two images, three boxes, two categories: nothing is wrong."""
    return {
        'images': [
            {'id': n, 'file_name': f'{n}.png', 'width': 64, 'height': 48}
            for n in (5, 9)
        ],
        'annotations': [
            {
                'id': n,
                'image_id': image,
                'category_id': n % 2,
                'bbox': [8, 8, 20.5, 30],
                'area': 615.0,
                'iscrowd': 0,
            }
            for n, image in ((11, 5), (12, 5), (13, 9))
        ],
        'categories': [{'id': n, 'name': f'c{n}'} for n in (0, 1)],
    }


@pytest.fixture
def problems(tmp_path):
    """What is found in labels, with their two images beside them."""
    for name in ('5.png', '9.png'):
        (tmp_path / name).touch()

    def read(labels, images=tmp_path):
        path = tmp_path / 'labels.json'
        path.write_text(
            labels if isinstance(labels, str) else json.dumps(labels)
        )
        return read_coco(path, images)[1]

    return read


MISSING = object()
NUMBERS = ['17', 1.5, None, True, math.nan]
WRONG = [
    *(('annotations', 'id', v, 'id ') for v in ['12', None, 1.5]),
    ('annotations', 'id', 11, '11'),
    ('annotations', 'id', MISSING, 'entry 1'),
    *(('annotations', 'image_id', v, 'id 12') for v in [*NUMBERS, 6]),
    *(('annotations', 'category_id', v, 'id 12') for v in [*NUMBERS, 7]),
    *(
        ('annotations', 'bbox', v, 'id 12')
        for v in [
            MISSING, None, [], 'a', ['8', '8', '20', '30'], [8, 8, 20],
            [8, 8, -20, 30], [8, math.nan, 20, 30], [8, 8, math.inf, 30],
            {'x': 8}, [8, 8, 20, True],
        ]
    ),
    *(
        ('annotations', 'area', v, 'id 12')
        for v in [MISSING, '615', -1, math.nan, None]
    ),
    *(
        ('annotations', 'iscrowd', v, 'id 12')
        for v in [MISSING, '0', 2, None, math.nan]
    ),
    *(('images', 'id', v, 'id ') for v in ['9', None, 1.5]),
    ('images', 'id', 5, '5'),
    *(('images', 'file_name', v, 'id 9') for v in [MISSING, 3, '', 'x.png']),
    *(
        ('images', side, v, 'id 9')
        for side in ('width', 'height')
        for v in [MISSING, 0, -64, '64', 64.5, None, math.nan]
    ),
    *(('categories', 'name', v, 'id 1') for v in [MISSING, 7, ' ', None]),
    ('categories', 'name', 'c0', 'c0'),
    *(('categories', 'id', v, 'c') for v in ['1', 0, MISSING]),
]  # fmt: skip


@pytest.mark.parametrize(('part', 'field', 'value', 'first'), WRONG)
def test_field_and_first_id_are_named(problems, part, field, value, first):
    labels = content()
    if value is MISSING:
        del labels[part][1][field]
    else:
        labels[part][1][field] = value
    found = problems(labels)
    assert found
    assert f'labels.json: {part}, {field}: ' in found[0]
    assert first in found[0]


@pytest.mark.parametrize(
    ('labels', 'named'),
    [
        ('{', 'not JSON'),
        ('\ufeff{}', 'not JSON'),
        ([{'image_id': 5, 'score': 0.5}], 'results'),
        (3, 'number'),
        ({}, 'images'),
        (content() | {'annotations': []}, 'annotations: expected a list'),
        (content() | {'categories': ['cat', 'dog']}, '"cat"'),
        (content() | {'categories': {'0': 'cat'}}, 'categories: expected'),
        (content() | {'images': [5, 9]}, 'images: expected objects'),
    ],
)
@pytest.mark.parametrize('divided', [False, True])
def test_a_file_of_another_kind(problems, tmp_path, labels, named, divided):
    found = problems(labels, None if divided else tmp_path)
    assert any(named in problem for problem in found)


def test_all_problems_come_in_one_list(problems):
    labels = content()
    assert problems(labels) == []
    for annotation in labels['annotations'][:2]:
        annotation['bbox'] = ['8', '8', '20', '30']
    del labels['annotations'][2]['area']
    labels['images'][0]['width'] = 0
    found = problems(labels)
    assert len(found) == 3
    assert '2 of 3 differ, first id 11' in found[1]


def test_crowds_alone_are_nothing_to_learn(problems):
    labels = content()
    for annotation in labels['annotations']:
        annotation['iscrowd'] = 1
    assert 'annotations, iscrowd' in problems(labels)[0]


def test_labels_that_are_only_divided_need_ids_alone(problems):
    labels = content()
    for annotation in labels['annotations']:
        for field in ('id', 'bbox', 'area', 'iscrowd'):
            del annotation[field]
    for image in labels['images']:
        del image['width'], image['file_name']
    assert problems(labels, None) == []
    labels['annotations'][0]['image_id'] = 6
    assert 'image_id' in problems(labels, None)[0]


def test_boxes_that_mmdet_leaves_out_are_counted():
    labels = content()
    assert list(notes(labels)) == []
    # Without width as in COCO itself; outside; of half a pixel; no area.
    for box in ([8, 8, 0, 5], [64, 0, 9, 9], [1, 1, 0.5, 9], [1, 1, 9, 9]):
        labels['annotations'][0].update(bbox=box, area=box[0] != 1)
        assert '1 of 3 boxes' in next(notes(labels))
    labels = content()
    labels['annotations'][1]['id'] = 0
    assert 'id 0' in next(notes(labels))


@pytest.mark.parametrize(
    ('segmentation', 'expected'),
    [
        ([[1, 1, 9, 1, 9, 9]], True),
        ({'size': [48, 64], 'counts': [0, 9]}, True),
        ({'size': [48, 64], 'counts': 'abc'}, True),
        ([[1, 1, 9, 9]], False),
        ([[1, 1, 9, 1, 9]], False),
        ([['1', '1', '9', '1', '9', '9']], False),
        ([[1, 1, 9, 1, 9, math.nan]], False),
        ([], False),
        (None, False),
        ({}, False),
    ],
)
def test_masks(segmentation, expected):
    assert is_mask(segmentation) is expected
