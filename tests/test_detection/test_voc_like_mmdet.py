"""Labels of VOC's XML files are those that mmdet reads from them itself."""

import cv2
import numpy as np
import pytest
from converters import run
from mmdet.datasets import CocoDataset, XMLDataset

CLASSES = ('cell', 'plate')
# Class, whether it is difficult, corners in pixels of 64 x 48.
OBJECTS = [
    ('plate', 0, (1, 1, 64, 48)),
    ('cell', 1, (10, 20, 30, 41)),
    ('cell', 0, (33, 2, 60, 47)),
]
OBJECT = (
    '<object><name>{}</name><difficult>{}</difficult><bndbox>'
    '<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>'
    '</bndbox></object>'
)


@pytest.fixture
def voc(tmp_path):
    """Two images with an XML file each."""
    for name in ('JPEGImages', 'Annotations'):
        (tmp_path / name).mkdir()
    for name, chosen in (('a', OBJECTS), ('b', OBJECTS[1:])):
        image = np.zeros((48, 64, 3), np.uint8)
        cv2.imwrite(str(tmp_path / 'JPEGImages' / f'{name}.jpg'), image)
        (tmp_path / 'Annotations' / f'{name}.xml').write_text(
            f'<annotation><filename>{name}.jpg</filename><size>'
            '<width>64</width><height>48</height></size>'
            + ''.join(OBJECT.format(*o[:2], *o[2]) for o in chosen)
            + '</annotation>'
        )
    (tmp_path / 'names.txt').write_text('a\nb\n')
    return tmp_path


def objects(dataset):
    return [
        [(o['bbox_label'], o['ignore_flag'], o['bbox']) for o in instances]
        for instances in (dataset[i]['instances'] for i in range(2))
    ]


def test_corners_count_from_one_as_mmdet_takes_them(voc):
    run('voc_to_coco', voc / 'Annotations', voc / 'out.json')
    metainfo = {'classes': CLASSES}
    ours = CocoDataset(
        ann_file=str(voc / 'out.json'),
        metainfo=metainfo,
        data_prefix={'img': ''},
        pipeline=[],
    )
    theirs = XMLDataset(
        ann_file='names.txt', data_root=str(voc), metainfo=metainfo,
        data_prefix={'sub_data_root': ''}, pipeline=[],
    )  # fmt: skip
    assert objects(ours) == objects(theirs)
    run('voc_to_coco', voc / 'Annotations', voc / 'zero.json', '--zero-based')
    shifted = CocoDataset(
        ann_file=str(voc / 'zero.json'),
        metainfo=metainfo,
        data_prefix={'img': ''},
        pipeline=[],
    )
    moved = np.subtract(
        [box for _, _, box in objects(shifted)[1]],
        [box for _, _, box in objects(ours)[1]],
    )
    assert (moved == 1).all()
