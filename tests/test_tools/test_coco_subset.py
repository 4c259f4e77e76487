"""Subsets of COCO: nested, whole, the same on every machine."""

import json
from pathlib import Path

import pytest
from converters import run


@pytest.fixture
def labels(tmp_path):
    """Two hundred images, each with two boxes of a class of its own kind."""
    content = {
        'info': {'year': 2017},
        'images': [{'id': 7 * i, 'file_name': f'{i}.jpg'} for i in range(200)],
        'annotations': [
            {'id': 2 * i + k, 'image_id': 7 * i, 'category_id': 1 + i % 150}
            for i in range(200)
            for k in (0, 1)
        ],
        'categories': [{'id': 1 + c, 'name': f'c{c}'} for c in range(150)],
    }
    path = tmp_path / 'instances.json'
    path.write_text(json.dumps(content))
    return path


def subset(labels: Path, percent: float, seed: int = 0, *options: str) -> dict:
    words = '--percent', percent, '--seed', seed
    run('coco_subset', labels, *words, *options, '--overwrite')
    name = f'instances.{seed}@{percent:g}.json'
    return json.loads((labels.parent / 'subsets' / name).read_text())


def ids(part):
    return {image['id'] for image in part['images']}


def test_annotations_follow_their_images(labels):
    part, whole = subset(labels, 10), json.loads(labels.read_text())
    assert len(part['images']) == 20
    assert len(part['annotations']) == 40
    assert {a['image_id'] for a in part['annotations']} == ids(part)
    assert part['categories'] == whole['categories']
    assert part['info'] == whole['info']


def test_some_categories_and_all_images(labels):
    part = subset(labels, 100, 0, '--classes', 'c3', 'c149')
    assert part['images'] == json.loads(labels.read_text())['images']
    assert [c['name'] for c in part['categories']] == ['c3', 'c149']
    # Images 3, 149 and 153; their boxes had the ids 2 i and 2 i + 1, and one
    # more now, as pycocotools counts that of 0 as wrong.
    assert [a['id'] for a in part['annotations']] == [7, 8, 299, 300, 307, 308]
    with pytest.raises(RuntimeError, match='no category is called dog; there'):
        subset(labels, 100, 0, '--classes', 'c3', 'dog')


def test_subsets_are_nested_and_depend_on_ids_and_seed_alone(labels):
    one, two, ten = (ids(subset(labels, percent)) for percent in (1, 2, 10))
    assert one < two < ten
    # Two draws of a tenth have about a tenth in common.
    assert len(ids(subset(labels, 10, 1)) & ten) < 10
    content = json.loads(labels.read_text())
    content['images'].reverse()
    labels.write_text(json.dumps(content))
    assert ids(subset(labels, 10)) == ten
    # Recorded: another version of Python must not choose otherwise.
    assert one == {392, 616}


def test_the_default_subsets(labels):
    printed = run('coco_subset', labels, '--seed', 4)
    with pytest.raises(RuntimeError, match=r'4@1\.json exists: .*--overwrite'):
        run('coco_subset', labels, '--seed', 4, '--classes', 'c3')
    names = sorted(p.name for p in (labels.parent / 'subsets').iterdir())
    assert names == [f'instances.4@{p}.json' for p in (1, 10, 2, 5)]
    assert '@1.json: 2 images, 4 annotations; without one: c' in printed
    assert ' and 138 more\n' in printed


def test_what_cannot_be_divided_is_one_message(labels):
    for percent in (0, 101):
        with pytest.raises(RuntimeError, match=r'^2$'):
            subset(labels, percent)
    content = json.loads(labels.read_text())
    content['images'].append(content['images'][0])
    for wrong, named in (
        (content, r'images, id: .* example 0'),
        ([{'image_id': 1, 'score': 0.5}], 'results of a detector'),
    ):
        labels.write_text(json.dumps(wrong))
        with pytest.raises(RuntimeError, match=named):
            subset(labels, 10)
    assert [p.name for p in labels.parent.iterdir()] == ['instances.json']
