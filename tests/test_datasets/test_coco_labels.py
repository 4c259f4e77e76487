"""Labels that no detector can use are listed before anything starts."""

import copy
import json
import math

import cv2
import pytest
from PIL import Image

from sce_mm.datasets.labels.coco_labels import (
    is_mask,
    notes,
    number_from_one,
    read_coco,
    take_categories,
)


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
    labels = content()
    for annotation in labels['annotations']:
        annotation['area'] = 0
    assert 'annotations: none is a box' in problems(labels)[0]


def test_boxes_of_other_formats_are_refused(problems, tmp_path):
    right = content()
    # They reach to the edges of their images, and beyond by rounding.
    for annotation, box in zip(
        right['annotations'],
        ([0, 0, 64, 48], [30, 20, 34.6, 28.4], [40, 4, 8, 12]),
        strict=True,
    ):
        annotation['bbox'] = box
    corners, shares = copy.deepcopy(right), copy.deepcopy(right)
    for annotation in corners['annotations']:
        left, top, width, height = annotation['bbox']
        annotation['bbox'] = [left, top, left + width, top + height]
    for annotation in shares['annotations']:
        left, top, width, height = annotation['bbox']
        annotation['bbox'] = [left / 64, top / 48, width / 65, height / 49]
    # A file that is only divided is asked too: it may set the regions.
    for images in (tmp_path, None):
        assert problems(right, images) == []
        (problem,) = problems(corners, images)
        assert '2 of 3 reach beyond' in problem
        assert '[left, top, right, bottom]' in problem
        (problem,) = problems(shares, images)
        assert 'shares of the image' in problem


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


def test_boxes_that_mmdet_leaves_out_are_counted(tmp_path):
    labels = content()
    assert list(notes(labels, tmp_path)) == []
    # Without width as in COCO itself; outside; of half a pixel; no area.
    for box in ([8, 8, 0, 5], [64, 0, 9, 9], [1, 1, 0.5, 9], [1, 1, 9, 9]):
        labels['annotations'][0].update(bbox=box, area=box[0] != 1)
        assert '1 of 3 boxes' in next(notes(labels, tmp_path))
    labels = content()
    labels['annotations'][0]['ignore'] = 1
    assert '1 of 3 boxes' in next(notes(labels, tmp_path))


def test_what_is_labelled_twice_is_counted(tmp_path):
    labels = content()
    again = copy.deepcopy(labels['annotations'][0])
    labels['annotations'].append(again | {'id': 77})
    labels['images'][1]['file_name'] = labels['images'][0]['file_name']
    images, boxes = notes(labels, tmp_path)
    assert '1 of 2 images' in images
    assert '1 of 4 annotations' in boxes


def test_sizes_are_those_that_detectors_see(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.new('L', (64, 48)).save(tmp_path / '5.png')
    Image.new('L', (64, 48)).save(tmp_path / '9.png', exif=exif)
    assert cv2.imread(str(tmp_path / '9.png')).shape == (64, 48, 3)
    (note,) = notes(content(), tmp_path)
    assert '1 of 2 images' in note
    assert '9.png: 64 x 48, but detectors see 48 x 64 (turned' in note
    Image.new('L', (48, 64)).save(tmp_path / '9.png')
    (note,) = notes(content(), tmp_path)
    assert '9.png: 64 x 48, but detectors see 48 x 64: do the' in note


def test_no_annotation_has_the_id_0():
    labels = content()
    assert number_from_one(labels) is labels
    labels['annotations'][1]['id'] = 0
    before = copy.deepcopy(labels)
    boxes = number_from_one(labels)['annotations']
    assert [box['id'] for box in boxes] == [1, 2, 3]
    assert [box | {'id': 0} for box in boxes] == [
        box | {'id': 0} for box in before['annotations']
    ]
    assert labels == before


def test_categories_are_found_by_name():
    val, train = content(), content()['categories']
    assert take_categories(val, train) is val
    # As globox writes a part in which no c0 is seen.
    val['categories'] = [{'id': 5, 'name': 'c1', 'supercategory': 'none'}]
    for box in val['annotations']:
        box['category_id'] = 5
    taken = take_categories(val, train)
    assert taken['categories'] == train
    assert {box['category_id'] for box in taken['annotations']} == {1}
    val['categories'][0]['name'] = 'c2'
    with pytest.raises(ValueError, match='c2 not among c0, c1'):
        take_categories(val, train)


def test_masks():
    for mask in ([[1, 1, 9, 1, 9, 9]], {'size': [48, 64], 'counts': 'abc'}):
        assert is_mask(mask)
    for mask in ([[1, 1, 9, 9]], [[1, 1, 9, 1, 9, math.nan]], {}):
        assert not is_mask(mask)
