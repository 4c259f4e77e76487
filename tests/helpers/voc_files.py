"""A VOC 2007 in small: real digits as images, two objects in each."""

from pathlib import Path

import cv2
from mmpretrain.datasets import VOC
from sklearn.datasets import load_digits

CLASSES = VOC.METAINFO['classes']
OBJECT = (
    '<object><name>{}</name><difficult>{}</difficult>'
    '<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>'
    '</object>'
)


def write_voc(devkit: Path, images_of_each: int = 2) -> None:
    """Splits train, val, trainval and test below ``devkit``/VOC2007.

    Image i shows class i mod 20, and class i + 1 as a difficult object.
    """
    root = devkit / 'VOC2007'
    for folder in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (root / folder).mkdir(parents=True)
    digits = iter(load_digits().images)
    splits: dict[str, list[str]] = {}
    for split in ('train', 'val', 'test'):
        names = []
        for index in range(len(CLASSES) * images_of_each):
            name = f'{split}{index:03d}'
            shown = CLASSES[index % 20], CLASSES[(index + 1) % 20]
            objects = OBJECT.format(shown[0], 0) + OBJECT.format(shown[1], 1)
            xml = f'<annotation>{objects}</annotation>'
            (root / 'Annotations' / f'{name}.xml').write_text(xml)
            path = str(root / 'JPEGImages' / f'{name}.jpg')
            cv2.imwrite(path, next(digits) * 15)
            names.append(name)
        splits[split] = names
    splits['trainval'] = splits['train'] + splits['val']
    for split, names in splits.items():
        path = root / 'ImageSets' / 'Main' / f'{split}.txt'
        path.write_text('\n'.join(names) + '\n')
