"""Subsets of COCO: nested, whole, the same on every machine."""

import json
import runpy
import sys

import pytest


@pytest.fixture(scope='module')
def tool(root):
    path = root / 'tools' / 'dataset_converters' / 'coco_subset.py'
    return runpy.run_path(str(path))


@pytest.fixture
def content():
    """Two hundred images, each with two boxes of a class of its own kind."""
    images = [{'id': 7 * i, 'file_name': f'{i}.jpg'} for i in range(200)]
    return {
        'info': {'year': 2017},
        'images': images,
        'annotations': [
            {'id': 2 * i + k, 'image_id': 7 * i, 'category_id': 1 + i % 150}
            for i in range(200)
            for k in (0, 1)
        ],
        'categories': [{'id': 1 + c, 'name': f'c{c}'} for c in range(150)],
    }


def ids(part):
    return {image['id'] for image in part['images']}


def test_annotations_follow_their_images(tool, content):
    part = tool['subset'](content, 10, 0)
    assert len(part['images']) == 20
    assert len(part['annotations']) == 40
    assert {a['image_id'] for a in part['annotations']} == ids(part)
    assert part['categories'] == content['categories']
    assert part['info'] == content['info']
    assert len(content['images']) == 200


def test_some_categories_and_all_images(tool, content):
    part = tool['of_classes'](content, ['c3', 'c149'])
    assert part['images'] == content['images']
    assert [c['name'] for c in part['categories']] == ['c3', 'c149']
    # Images 3, 149 and 153; their boxes have ids 2 i and 2 i + 1.
    assert [a['id'] for a in part['annotations']] == [6, 7, 298, 299, 306, 307]


def test_an_unknown_category_is_named(tool, content):
    with pytest.raises(ValueError, match='no category is called dog; there'):
        tool['of_classes'](content, ['c3', 'dog'])


def test_smaller_ones_are_parts_of_larger_ones_and_seeds_differ(tool, content):
    one, two, ten = (
        ids(tool['subset'](content, percent, 0)) for percent in (1, 2, 10)
    )
    assert one < two < ten
    other = ids(tool['subset'](content, 10, 1))
    # Two draws of a tenth have about a tenth in common.
    assert len(other & ten) < 10


def test_the_choice_depends_on_ids_and_seed_alone(tool, content):
    expected = ids(tool['subset'](content, 5, 3))
    content['images'].reverse()
    assert ids(tool['subset'](content, 5, 3)) == expected
    # Recorded: another version of Python or NumPy must not choose otherwise.
    assert tool['ranked']([1, 2, 3, 4, 5, 6], seed=0) == [4, 3, 2, 6, 5, 1]


@pytest.mark.parametrize('percent', [0, -1, 101])
def test_shares_that_are_none(tool, content, percent):
    with pytest.raises(ValueError, match=r'--percent must be in \(0, 100\]'):
        tool['subset'](content, percent, 0)


def test_command_line(tool, content, tmp_path, monkeypatch, capsys):
    path = tmp_path / 'instances.json'
    path.write_text(json.dumps(content))
    monkeypatch.setattr(sys, 'argv', ['x', str(path), '--seed', '4'])
    tool['main']()
    names = sorted(p.name for p in (tmp_path / 'subsets').iterdir())
    assert names == [f'instances.4@{p}.json' for p in (1, 10, 2, 5)]
    written = json.loads((tmp_path / 'subsets' / names[1]).read_text())
    assert written == tool['subset'](content, 10, 4)
    printed = capsys.readouterr().out
    assert '@1.json: 2 images, 4 annotations; without one: c' in printed
    assert ' of 150 categories)' in printed


def test_what_cannot_be_divided_is_one_message(
    tool, content, tmp_path, monkeypatch
):
    path = tmp_path / 'instances.json'
    monkeypatch.setattr(sys, 'argv', ['x', str(path)])
    content['images'].append(content['images'][0])
    content['categories'].append({'id': 1, 'name': 'again'})
    for labels, named in (
        (content, r'(?s)images, id: .* 0 for one.*categories, id: .* 1 for'),
        ([{'image_id': 1, 'score': 0.5}], 'as results of a detector'),
        (content | {'categories': ['cat']}, 'first entry 0: "cat"'),
        ({'images': []}, 'annotations: expected a list'),
    ):
        path.write_text(json.dumps(labels))
        with pytest.raises(SystemExit, match=named):
            tool['main']()
    assert [p.name for p in tmp_path.iterdir()] == ['instances.json']
