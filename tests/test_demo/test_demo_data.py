import json

import cv2
import numpy as np
import pytest


@pytest.fixture(scope='module')
def digits():
    from sources import load_digits

    return load_digits()


@pytest.fixture
def split(digits):
    from sources import split_digits

    return split_digits(digits[1], np.random.default_rng(0))


def test_parts_share_no_digit_and_leave_none_out(split, digits):
    rows = np.concatenate(split)
    assert len(np.unique(rows)) == len(rows) == 5000
    for part, count in zip(split, (350, 75, 75), strict=True):
        assert np.bincount(digits[1][part]).tolist() == [count] * 10


def test_photographs_of_the_evaluation_are_held_out():
    from sources import HELD_OUT_PHOTOS, TRAIN_PHOTOS, load_photos

    assert not set(TRAIN_PHOTOS) & set(HELD_OUT_PHOTOS)
    for photo in load_photos(TRAIN_PHOTOS + HELD_OUT_PHOTOS):
        assert photo.ndim == 3
        assert min(photo.shape[:2]) >= 128
    with pytest.raises(FileNotFoundError, match=r'nothing\.png'):
        load_photos(('skimage/data/nothing.png',))


def test_boxes_and_masks_of_a_scene_agree(digits, split):
    from pycocotools import mask as coco_mask
    from scenes import make_scene
    from sources import TRAIN_PHOTOS, load_photos

    rng = np.random.default_rng(1)
    photos = load_photos(TRAIN_PHOTOS[:2])
    for _ in range(5):
        scene = make_scene(*digits, split.val, photos, rng)
        assert len(scene.instances) >= 2
        for instance in scene.instances:
            known = instance.annotation()
            mask = coco_mask.decode(known['segmentation'])
            assert np.array_equal(mask, instance.mask)
            left, top, width, height = map(int, known['bbox'])
            inside = mask[top : top + height, left : left + width]
            assert inside.sum() == mask.sum() == known['area']
            assert inside.any(axis=0).all()
        total = sum(instance.mask.astype(int) for instance in scene.instances)
        assert total.max() == 1, 'visible parts do not overlap'


@pytest.mark.integration
def test_data_depend_on_the_seed_and_are_what_the_configs_expect(
    tmp_path, digits
):
    from make_data import FAST, make_data

    written = []
    for name, seed in (('a', 3), ('b', 3), ('c', 4)):
        make_data(tmp_path / name, seed, FAST)
        paths = sorted((tmp_path / name).rglob('*.*'))
        written.append([path.read_bytes() for path in paths])
    assert written[0] == written[1] != written[2]

    root = tmp_path / 'a'
    names = sorted(path.name for path in (root / 'unlabelled').iterdir())
    assert names == [f'{i:05d}.png' for i in range(FAST.unlabelled)]
    provenance = json.loads((root / 'provenance.json').read_text())
    seen = set(provenance['unlabelled'] + provenance['bank'])
    seen |= {row for scene in provenance['train'] for row in scene}
    held_out = set(provenance['query'])
    held_out |= {row for scene in provenance['val'] for row in scene}
    assert not seen & held_out
    for part in ('train', 'val'):
        content = json.loads((root / f'scenes/{part}.json').read_text())
        for entry, rows in zip(
            content['images'], provenance[part], strict=True
        ):
            path = root / 'scenes' / part / entry['file_name']
            assert cv2.imread(str(path)).shape == (128, 128, 3)
            labels = [
                a['category_id']
                for a in content['annotations']
                if a['image_id'] == entry['id']
            ]
            assert labels == [digits[1][row] for row in rows]
            path = root / 'scenes' / f'{part}_maps' / entry['file_name']
            drawn = set(np.unique(cv2.imread(str(path), -1)).tolist())
            assert drawn == {0, *(label + 1 for label in labels)}


def test_objects_of_a_scene_are_drawn_with_their_masks():
    from pycocotools import mask as coco_mask
    from sections import instances_of

    mask = np.zeros((40, 40), np.uint8, order='F')
    mask[10:20, 5:15] = 1
    entry = {'segmentation': coco_mask.encode(mask), 'category_id': 3}
    entry |= {'bbox': [5, 10, 10, 10], 'image_id': 1, 'score': 0.9}

    (instance,) = instances_of([entry, entry | {'image_id': 2}], 1)

    assert instance[:3] == ((5, 10, 15, 20), '3', 0.9)
    assert np.array_equal(instance.mask, mask)
