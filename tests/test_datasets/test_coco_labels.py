"""Labels that no detector can use are listed before anything starts."""

import json
import math

import pytest

from sce_mm.datasets.labels.coco_labels import is_mask, notes, read_coco


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
# Part, field, wrong values, and how the first wrong entry is named.
WRONG = [
    ('annotations', 'id', ['12', None, 11], '1'),
    ('annotations', 'id', [MISSING], 'entry 1'),
    ('annotations', 'image_id', ['17', 1.5, True, 6], 'id 12'),
    ('annotations', 'category_id', ['17', math.nan, 7], 'id 12'),
    (
        'annotations',
        'bbox',
        [MISSING, ['8', '8', '20', '30'], [8, 8, 20], [8, 8, -20, 30],
         [8, math.nan, 20, 30]],
        'id 12',
    ),
    ('annotations', 'area', [MISSING, '615', -1, math.nan], 'id 12'),
    ('annotations', 'iscrowd', [MISSING, '0', 2, None], 'id 12'),
    ('images', 'id', ['9', 1.5, 5], ''),
    ('images', 'file_name', [MISSING, 3, '', 'x.png'], 'id 9'),
    ('images', 'width', [MISSING, 0, '64', 64.5], 'id 9'),
    ('images', 'height', [-64, None], 'id 9'),
    ('categories', 'name', [MISSING, 7, ' ', 'c0'], 'c'),
    ('categories', 'id', ['1', 0, MISSING], 'c'),
]  # fmt: skip


@pytest.mark.parametrize(('part', 'field', 'values', 'first'), WRONG)
def test_field_and_first_id_are_named(problems, part, field, values, first):
    for value in values:
        labels = content()
        if value is MISSING:
            del labels[part][1][field]
        else:
            labels[part][1][field] = value
        found = problems(labels)[0]
        assert f'labels.json: {part}, {field}: ' in found
        assert first in found


@pytest.mark.parametrize(
    ('labels', 'named'),
    [
        ('{', 'not JSON'),
        ([{'image_id': 5, 'score': 0.5}], 'results'),
        ({}, 'images'),
        (content() | {'annotations': []}, 'annotations: expected a list'),
        (content() | {'categories': {'0': 'cat'}}, 'categories: expected'),
    ],
)
def test_a_file_of_another_kind(problems, labels, named):
    assert any(named in problem for problem in problems(labels))


def test_all_problems_come_in_one_list(problems):
    labels = content()
    assert problems(labels) == []
    del labels['annotations'][1]['area'], labels['annotations'][2]['area']
    labels['images'][0]['width'] = 0
    found = problems(labels)
    assert len(found) == 2
    assert '2 of 3 differ, first id 12' in found[1]


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


def test_masks():
    for mask in ([[1, 1, 9, 1, 9, 9]], {'size': [48, 64], 'counts': 'abc'}):
        assert is_mask(mask)
    for mask in ([[1, 1, 9, 9]], [[1, 1, 9, 1, 9, math.nan]], {}):
        assert not is_mask(mask)
