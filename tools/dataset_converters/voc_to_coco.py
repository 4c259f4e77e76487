"""Write labels of Pascal VOC's XML files as one file in COCO format.

    python tools/dataset_converters/voc_to_coco.py \\
        ANNOTATIONS OUT --names train.txt

ANNOTATIONS is the folder of the XML files. Objects without an area are left
out and counted. Classes are numbered in the order of the alphabet, or as
--classes gives them.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

SIDES = ('width', 'height')
CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('annotations', type=Path, help='folder of XML files')
    parser.add_argument('out', type=Path, help='json file to write')
    parser.add_argument(
        '--names',
        type=Path,
        help='list of the images to take, one name a line; all by default',
    )
    parser.add_argument('--classes', nargs='+', help='names, in order')
    return parser.parse_args()


def read_image(path: Path) -> dict[str, Any]:
    """Name, size and objects of one XML file.

    Raises:
        ValueError: A part is missing, or the file is not XML.
    """
    try:
        root = ElementTree.parse(path).getroot()
        size = {key: int(root.find(f'size/{key}').text) for key in SIDES}
        objects = [
            (
                item.find('name').text,
                [float(item.find(f'bndbox/{key}').text) for key in CORNERS],
                item.findtext('difficult', '0') == '1',
            )
            for item in root.iter('object')
        ]
        name = root.find('filename').text
    except (AttributeError, ElementTree.ParseError) as error:
        raise ValueError(f'{path} is not an annotation of VOC') from error
    return {'file_name': name, **size, 'objects': objects}


def convert(
    images: list[dict[str, Any]], classes: list[str] | None
) -> tuple[dict[str, Any], int]:
    """Content of the COCO file, and the number of objects left out.

    Args:
        images: Of :func:`read_image`.
        classes: Names in order; None for those that occur.

    Raises:
        ValueError: A class occurs that was not named.
    """
    found = sorted({name for i in images for name, *_ in i['objects']})
    classes = classes or found
    if unknown := set(found) - set(classes):
        raise ValueError(
            f'the files have classes that --classes lacks: {sorted(unknown)}'
        )
    annotations = []
    empty = 0
    for image_id, image in enumerate(images):
        for name, (left, top, right, bottom), difficult in image['objects']:
            width, height = right - left, bottom - top
            if width <= 0 or height <= 0:
                empty += 1
                continue
            annotations.append(
                {
                    'id': len(annotations) + 1,
                    'image_id': image_id,
                    'category_id': classes.index(name) + 1,
                    'bbox': [left, top, width, height],
                    'area': width * height,
                    # COCO's word for what counts neither way.
                    'iscrowd': int(difficult),
                }
            )
    content = {
        'images': [
            {'id': n, **{k: v for k, v in image.items() if k != 'objects'}}
            for n, image in enumerate(images)
        ],
        'annotations': annotations,
        'categories': [
            {'id': n, 'name': name} for n, name in enumerate(classes, 1)
        ],
    }
    return content, empty


def main() -> None:
    args = parse_args()
    try:
        if args.names:
            names = args.names.read_text().split()
            paths = [args.annotations / f'{name}.xml' for name in names]
        else:
            paths = sorted(args.annotations.glob('*.xml'))
        if not paths:
            raise ValueError(f'no XML file in {args.annotations}')
        content, empty = convert([read_image(p) for p in paths], args.classes)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(content))
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    print(
        f'{args.out}: {len(content["images"])} images, '
        f'{len(content["annotations"])} boxes, {empty} without an area left '
        f'out; classes {", ".join(c["name"] for c in content["categories"])}'
    )


if __name__ == '__main__':
    __starts_light__ = True
    from sce_mm.process_end import run_command

    run_command(main)
