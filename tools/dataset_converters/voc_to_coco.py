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

from sce_mm.checkpoints.durable_files import write_durably
from sce_mm.datasets import UnreadableImageError, decode_image
from sce_mm.utils.progress import track
from sce_mm.utils.text import printable

SIDES = ('width', 'height')
CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')
TRUE = ('1', '1.0', 'true', 'yes')
FALSE = ('0', '0.0', 'false', 'no', '', 'unspecified')
LISTED = 50

Size = tuple[float, float]


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


def open_images(args: argparse.Namespace) -> Images:
    """Those of --images, or where VOC and labelling programs put them."""
    beside = args.annotations.parent / 'JPEGImages'
    folder = args.images or (beside if beside.is_dir() else args.annotations)
    try:
        return Images(folder)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'{error}. Name the folder of the images with --images'
        ) from error


def read_size(voc: Voc, path: Path, repairs: Counter[str]) -> Size:
    """Width and height of an image as detectors load it.

    Raises:
        ValueError: The image cannot be read, or the XML file contradicts it.
    """
    try:
        data = path.read_bytes()
        height, width = decode_image(data).shape[:2]
    except (OSError, UnreadableImageError) as error:
        raise ValueError(
            f'filename: the image {path} cannot be read ({error})'
        ) from error
    texts = [voc.text(f'size/{side}') for side in SIDES]
    said = [_number(text) or 0 for text in texts]
    if min(said) <= 0 or said == [width, height]:
        same = texts == [str(width), str(height)]
        repairs['sizes taken from the image'] += not same
        return width, height
    turned = decode_image(data, apply_orientation=False).shape[:2]
    hint = 'do the boxes belong to it?'
    if said == [turned[1], turned[0]]:
        hint = (
            'as its EXIF tag turns it, which detectors do: turn its pixels '
            'and boxes'
        )
    raise ValueError(
        f'size: {" x ".join(texts)}, but {path.name} has {width} x {height}; '
        f'{hint}'
    )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def plain_name(name: str) -> str:
    """A class name as it looks: one way for blanks and for accents."""
    return unicodedata.normalize('NFC', ' '.join(name.split()))


def read_object(
    item: ElementTree.Element, size: Size, repairs: Counter[str]
) -> dict[str, Any] | None:
    """Class, box and crowd flag of an object; None for one without an area.

    Raises:
        ValueError: A field holds what cannot be repaired.
    """
    raw = item.findtext('name') or ''
    name = plain_name(raw)
    if not name or '\ufffd' in name:
        raise ValueError(f'name {raw!r}: no class, or in another encoding')
    flag = (item.findtext('difficult') or '').strip().lower()
    if flag not in TRUE + FALSE:
        raise ValueError(f'difficult {flag!r}: neither 0 nor 1')
    texts = [item.findtext(f'bndbox/{corner}') or '' for corner in CORNERS]
    given = [_number(text) for text in texts]
    if None in given:
        wrong = [
            f'{corner} {text!r}'
            for corner, text in zip(CORNERS, texts, strict=True)
            if _number(text) is None
        ]
        raise ValueError(f'bndbox: no number in {", ".join(wrong)}')
    spans, inside = [], []
    for axis, limit in enumerate(size):
        low, high = sorted(given[axis::2])
        if high < 0 or low > limit:
            raise ValueError(
                f'{CORNERS[axis]} and {CORNERS[axis + 2]} {low:g} and '
                f'{high:g} are outside the image ({SIDES[axis]} {limit:g})'
            )
        spans.append((low, high))
        inside.append((max(low, 0), min(high, limit)))
    repairs['class names without surplus blanks'] += name != raw
    repairs['words for difficult read as 0 or 1'] += flag not in ('', '0', '1')
    (left, right), (top, bottom) = inside
    width, height = right - left, bottom - top
    if min(width, height) <= 0:
        repairs['boxes without an area left out'] += 1
        return None
    swapped = spans != [tuple(given[::2]), tuple(given[1::2])]
    repairs['boxes with swapped corners'] += swapped
    repairs['boxes cut at the edge of the image'] += inside != spans
    return {
        'name': name,
        'bbox': [left, top, width, height],
        'area': width * height,
        # COCO's word for what counts neither way.
        'iscrowd': int(flag in TRUE),
    }


def read_all(
    files: list[Voc],
    images: Images,
    problems: list[str],
    repairs: Counter[str],
) -> list[dict[str, Any]]:
    """Name, size and objects of the image of each file."""
    image_of = find_image_of_each(files, images, problems)
    read = []
    for voc in track(files, 'images'):
        name = image_of.get(voc.path, '')
        size: Size = (math.inf, math.inf)
        if name:
            repaired = name != voc.text('filename')
            repairs['file names replaced by that of the image'] += repaired
            try:
                size = read_size(voc, images.folder / name, repairs)
            except ValueError as error:
                problems.append(f'{voc.path.name}: {error}')
        objects = []
        for number, item in enumerate(voc.root.iter('object'), 1):
            try:
                objects.append(read_object(item, size, repairs))
            except ValueError as error:
                label = plain_name(item.findtext('name') or '')
                problems.append(
                    f'{voc.path.name}: object {number} ({label}): {error}'
                )
        sides = dict(zip(SIDES, size, strict=True))
        kept = [item for item in objects if item is not None]
        read.append({'file_name': name, **sides, 'objects': kept})
    return read


def convert(
    read: list[dict[str, Any]],
    classes: list[str] | None,
    problems: list[str],
) -> dict[str, Any]:
    """Content of the COCO file.

    Args:
        read: Returned by :func:`read_all`.
        classes: Names in order; None for those that occur.
        problems: Gets the classes that were not named.
    """
    counts = Counter(item['name'] for i in read for item in i['objects'])
    names = [plain_name(name) for name in classes or sorted(counts)]
    problems += [
        f'name {name!r} of {counts[name]} boxes is not among --classes'
        for name in sorted(set(counts) - set(names))
    ]
    ids = {name: n for n, name in enumerate(names, 1)}
    annotations: list[dict[str, Any]] = []
    images = []
    for image_id, image in enumerate(read):
        objects = image.pop('objects')
        images.append({'id': image_id, **image})
        for item in objects:
            category = ids.get(item.pop('name'))
            head = {'image_id': image_id, 'category_id': category}
            annotations.append({'id': len(annotations) + 1, **head, **item})
    return {
        'images': images,
        'annotations': annotations,
        'categories': [{'id': n, 'name': name} for name, n in ids.items()],
    }


def summary(content: dict[str, Any], repairs: Counter[str]) -> str:
    """Counts of what was written and of what was repaired."""
    names = [category['name'] for category in content['categories']]
    lines = [
        f'{len(content["images"])} images, {len(content["annotations"])} '
        f'boxes; all images exist; classes {", ".join(names)}'
    ]
    lines += [f'{n} {what}' for what, n in repairs.items() if n]
    labelled = {a['image_id'] for a in content['annotations']}
    if bare := len(content['images']) - len(labelled):
        lines.append(f'{bare} images have no box and stay as background')
    folded = Counter(name.casefold() for name in names)
    if alike := [name for name, n in folded.items() if n > 1]:
        lines.append(f'classes that differ only in case: {", ".join(alike)}')
    return '\n'.join(lines)


def main() -> None:
    args = parse_args()
    problems: list[str] = []
    repairs: Counter[str] = Counter()
    files = parse_files(list_files(args.annotations, args.names), problems)
    images = open_images(args)
    read = read_all(files, images, problems, repairs)
    content = convert(read, args.classes, problems)
    if problems:
        lines = [f'  {printable(text)}' for text in problems[:LISTED]]
        if rest := len(problems[LISTED:]):
            lines.append(f'  and {rest} more')
        raise ValueError(
            f'{len(problems)} problems, nothing was written:\n'
            + '\n'.join(lines)
        )
    write_durably(args.out, json.dumps(content).encode())
    print(f'{args.out}: {summary(content, repairs)}')
    if not args.names and len(images.names) > len(read):
        without = len(images.names) - len(read)
        print(f'{without} images have no XML file and were left out')


if __name__ == '__main__':
    __starts_light__ = True
    from sce_mm.cli.exit import run_main

    run_main(main)
