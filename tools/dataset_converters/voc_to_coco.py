"""Write labels of Pascal VOC's XML files as one file in COCO format.

    python tools/dataset_converters/voc_to_coco.py \\
        ANNOTATIONS OUT --images IMAGES --names train.txt

ANNOTATIONS is the folder of the XML files, IMAGES that of their images, with
all sub-folders. Each image is looked up and decoded. What is certain is
repaired, and counted at the end:

- a filename that is empty, wrong, repeated, a path or without its extension,
  where one image is called like the XML file;
- a size that is missing, zero or no whole number: that of the image is taken;
- boxes that leave the image, whose corners are swapped (boxes without an area
  are left out), blanks around class names, words for 0 and 1.

Everything else is listed with its file and field, and then nothing is
written. Classes are numbered in the order of the alphabet, or as --classes
gives them.
"""

import argparse
import json
import math
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from voc_xml import Images, Voc, find_image_of_each, list_files, parse_files

from sce_mm.datasets import UnreadableImageError, decode_image
from sce_mm.datasets.images.file_lists import printable
from sce_mm.utils.progress import track

SIDES = ('width', 'height')
CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')
TRUE = ('1', '1.0', 'true', 'yes')
FALSE = ('0', '0.0', 'false', 'no', '', 'unspecified')
LISTED = 50
# What was repaired, in the words of the last line.
RENAMED = 'file names replaced by that of the image'
RESIZED = 'sizes taken from the image'
CUT = 'boxes cut at the edge of the image'
SWAPPED = 'boxes with swapped corners'
EMPTY = 'boxes without an area left out'
TRIMMED = 'class names without surplus blanks'
WORDS = 'words for difficult read as 0 or 1'

Repairs = Counter[str]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('annotations', type=Path, help='folder of XML files')
    parser.add_argument('out', type=Path, help='json file to write')
    parser.add_argument(
        '--images',
        type=Path,
        help='folder of the images; by default JPEGImages beside ANNOTATIONS '
        'if it is there, otherwise ANNOTATIONS itself',
    )
    parser.add_argument(
        '--names',
        type=Path,
        help='list of the images to take, one name a line; all by default',
    )
    parser.add_argument('--classes', nargs='+', help='names, in order')
    return parser.parse_args()


def read_size(
    voc: Voc, path: Path, repairs: Repairs
) -> tuple[dict[str, int], list[str]]:
    """Sides of an image as detectors load it, and what contradicts them."""
    try:
        data = path.read_bytes()
        height, width = decode_image(data).shape[:2]
    except (OSError, UnreadableImageError) as error:
        return {}, [f'filename: the image {path} cannot be read ({error})']
    true = {'width': width, 'height': height}
    texts = [voc.text(f'size/{side}') for side in SIDES]
    said = [_number(text) for text in texts]
    if not all(said) or min(said) < 0:
        repairs[RESIZED] += 1
        return true, []
    if said == [width, height]:
        repairs[RESIZED] += texts != [str(width), str(height)]
        return true, []
    wrong = f'size: {" x ".join(texts)}, but {path.name} has '
    turned = decode_image(data, apply_orientation=False).shape[:2]
    if said == [turned[1], turned[0]]:
        return {}, [
            f'{wrong}{width} x {height} once it is turned as its EXIF tag '
            'says, which detectors do: turn its pixels and boxes'
        ]
    return {}, [f'{wrong}{width} x {height}: do the boxes belong to it?']


def _number(text: str | None) -> float | None:
    try:
        value = float(text or '')
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def read_objects(
    voc: Voc, size: dict[str, int], repairs: Repairs
) -> tuple[list[dict[str, Any]], list[str]]:
    """Class, box and difficulty of each object, and what is wrong."""
    objects, problems = [], []
    for number, item in enumerate(voc.root.iter('object'), 1):
        raw = item.findtext('name') or ''
        name = plain_name(raw)
        wrong = []
        if not name or '\ufffd' in name:
            wrong.append(f'name {raw!r}: no class, or in another encoding')
        flag = (item.findtext('difficult') or '').strip().lower()
        if flag not in TRUE + FALSE:
            wrong.append(f'difficult {flag!r}: neither 0 nor 1')
        box, mistakes = read_box(item, size)
        problems += [
            f'object {number} ({name}): {text}' for text in wrong + mistakes
        ]
        if wrong or mistakes:
            continue
        repairs[TRIMMED] += name != raw
        repairs[WORDS] += flag not in ('', '0', '1')
        box = repair_box(box, size, repairs)
        if box is not None:
            objects.append(
                {'name': name, 'box': box, 'difficult': flag in TRUE}
            )
    return objects, problems


def plain_name(name: str) -> str:
    """A class name as it looks: blanks and ways to write an accent aside."""
    return unicodedata.normalize('NFC', ' '.join(name.split()))


def read_box(
    item: ElementTree.Element, size: dict[str, int]
) -> tuple[list[float], list[str]]:
    """Corners of an object, and what is wrong with them."""
    if item.find('bndbox') is None:
        return [], ['bndbox is missing']
    texts = [item.findtext(f'bndbox/{corner}') for corner in CORNERS]
    values = [_number(text) for text in texts]
    wrong = [
        f'{corner} {text!r} is no number' if text else f'{corner} is empty'
        for corner, text, value in zip(CORNERS, texts, values, strict=True)
        if value is None
    ]
    box = [value for value in values if value is not None]
    if wrong or not size:
        return box, wrong
    across, down = sorted(box[::2]), sorted(box[1::2])
    outside = [
        f'{" and ".join(corners)} {low:g} and {high:g} are outside the image '
        f'({side} {size[side]})'
        for corners, (low, high), side in (
            (CORNERS[::2], across, 'width'),
            (CORNERS[1::2], down, 'height'),
        )
        if high < 0 or low > size[side]
    ]
    return box, outside


def repair_box(
    box: list[float], size: dict[str, int], repairs: Repairs
) -> list[float] | None:
    """Corners in order and inside the image, or None without an area."""
    if not size:
        return None
    left, right = sorted(box[::2])
    top, bottom = sorted(box[1::2])
    ordered = [left, top, right, bottom]
    width, height = size['width'], size['height']
    inside = [
        min(max(value, 0), limit)
        for value, limit in zip(ordered, (width, height) * 2, strict=True)
    ]
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        repairs[EMPTY] += 1
        return None
    repairs[SWAPPED] += ordered != box
    repairs[CUT] += inside != ordered
    return inside


def read_all(
    files: list[Voc],
    images: Images,
    problems: list[str],
    repairs: Repairs,
) -> list[dict[str, Any]]:
    """Name, size and objects of the image of each file."""
    image_of = find_image_of_each(files, images, problems)
    read = []
    for voc in track(files, 'images'):
        name = image_of.get(voc.path)
        size: dict[str, int] = {}
        wrong: list[str] = []
        if name is not None:
            size, wrong = read_size(voc, images.folder / name, repairs)
            repairs[RENAMED] += name != voc.text('filename')
        objects, mistakes = read_objects(voc, size, repairs)
        problems += [f'{voc.path.name}: {x}' for x in [*wrong, *mistakes]]
        read.append({'file_name': name, **size, 'objects': objects})
    return read


def convert(
    images: list[dict[str, Any]],
    classes: list[str] | None,
    problems: list[str],
) -> dict[str, Any]:
    """Content of the COCO file.

    Args:
        images: Of :func:`read_all`.
        classes: Names in order; None for those that occur.
        problems: Gets the classes that were not named.
    """
    counts = Counter(x['name'] for i in images for x in i['objects'])
    names = [plain_name(name) for name in classes or sorted(counts)]
    problems += [
        f'name {name!r} of {counts[name]} boxes is not among --classes'
        for name in sorted(set(counts) - set(names))
    ]
    annotations = []
    for image_id, image in enumerate(images):
        for item in image['objects'] if not problems else ():
            left, top, right, bottom = item['box']
            width, height = right - left, bottom - top
            annotations.append(
                {
                    'id': len(annotations) + 1,
                    'image_id': image_id,
                    'category_id': names.index(item['name']) + 1,
                    'bbox': [left, top, width, height],
                    'area': width * height,
                    # COCO's word for what counts neither way.
                    'iscrowd': int(item['difficult']),
                }
            )
    return {
        'images': [
            {'id': n, **{k: v for k, v in image.items() if k != 'objects'}}
            for n, image in enumerate(images)
        ],
        'annotations': annotations,
        'categories': [
            {'id': n, 'name': name} for n, name in enumerate(names, 1)
        ],
    }


def open_images(args: argparse.Namespace) -> Images:
    """Those of --images, or where VOC and labelling programs put them.

    Raises:
        FileNotFoundError: No image there.
    """
    if args.images is not None:
        return Images(args.images)
    beside = args.annotations.parent / 'JPEGImages'
    try:
        return Images(beside if beside.is_dir() else args.annotations)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'{error}. Name the folder of the images with --images'
        ) from error


def write(path: Path, content: dict[str, Any]) -> None:
    """Write the file and read it back.

    Raises:
        OSError: It does not hold what was written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    if json.loads(path.read_text()) != content:
        raise OSError(f'{path} does not hold what was written: disk full?')


def summary(content: dict[str, Any], repairs: Repairs) -> str:
    """Counts of what was written and of what was repaired."""
    lines = [
        f'{len(content["images"])} images, {len(content["annotations"])} '
        'boxes; all images exist; classes '
        f'{", ".join(c["name"] for c in content["categories"])}'
    ]
    lines += [f'{n} {what}' for what, n in repairs.items() if n]
    labelled = {a['image_id'] for a in content['annotations']}
    if bare := len(content['images']) - len(labelled):
        lines.append(f'{bare} images have no box and stay as background')
    folded = Counter(c['name'].casefold() for c in content['categories'])
    if alike := [name for name, n in folded.items() if n > 1]:
        lines.append(f'classes that differ in case alone: {", ".join(alike)}')
    return '\n'.join(lines)


def main() -> None:
    args = parse_args()
    problems: list[str] = []
    repairs: Repairs = Counter()
    paths = list_files(args.annotations, args.names)
    files = parse_files(paths, problems)
    images = open_images(args)
    read = read_all(files, images, problems, repairs)
    content = convert(read, args.classes, problems)
    if problems:
        rest = len(problems) - LISTED
        lines = [f'  {printable(text)}' for text in problems[:LISTED]]
        lines += [f'  and {rest} more'] if rest > 0 else []
        raise ValueError(
            f'{len(problems)} problems, nothing was written:\n'
            + '\n'.join(lines)
        )
    write(args.out, content)
    print(f'{args.out}: {summary(content, repairs)}')
    if spare := 0 if args.names else len(images) - len(read):
        print(f'{spare} images have no XML file and were left out')


if __name__ == '__main__':
    __starts_light__ = True
    from sce_mm.cli.exit import run_main

    run_main(main)
