r"""Write labels of Pascal VOC's XML files as one file in COCO format.

    sce voc-to-coco \
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
gives them. Corners count from one, as mmdet's XMLDataset takes them;
--zero-based is for files of programs that count from zero.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ... import register
from ...utils.errors import UserError
from ...utils.text import printable
from ..argument_types import json_file
from ..arguments import ArgumentParser

LISTED = 50


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ArgumentParser(__doc__)
    parser.add_argument('annotations', type=Path, help='folder of XML files')
    parser.add_argument('out', type=json_file, help='json file to write')
    parser.add_argument(
        '--images',
        type=Path,
        help='folder of the images; by default JPEGImages beside ANNOTATIONS '
        'if it is there, otherwise ANNOTATIONS itself',
    )
    parser.add_argument(
        '--names',
        type=Path,
        help='list of the images to take, one name per line; all by default',
    )
    parser.add_argument('--classes', nargs='+', help='names, in order')
    parser.add_argument(
        '--zero-based',
        action='store_true',
        help='corners of the boxes count from zero',
    )
    return parser.parse_args(argv)


def convert(
    read: list[dict[str, Any]],
    classes: list[str],
    problems: list[str],
) -> dict[str, Any]:
    """Content of the COCO file; ``problems`` gets the classes not named."""
    counts = Counter(item['name'] for i in read for item in i['objects'])
    names = classes or sorted(counts)
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


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    register()
    from ...datasets.labels import voc_labels
    from ...utils.durable_files import write_durably

    paths = voc_labels.list_files(args.annotations, args.names)
    beside = args.annotations.parent / 'JPEGImages'
    folder = args.images or (beside if beside.is_dir() else args.annotations)
    try:
        images = voc_labels.Images(folder)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'{error}. Name the folder of the images with --images'
        ) from error
    reader = voc_labels.VocReader(images, first_pixel=int(not args.zero_based))
    read, problems = reader.read(paths), reader.problems
    classes = [voc_labels.plain_name(name) for name in args.classes or ()]
    content = convert(read, classes, problems)
    if problems:
        lines = [f'  {printable(text)}' for text in problems[:LISTED]]
        if rest := len(problems[LISTED:]):
            lines.append(f'  and {rest} more')
        if len(lines) == 1:
            raise UserError(f'nothing was written: {lines[0].strip()}')
        raise UserError(
            f'{len(problems)} problems, nothing was written:\n'
            + '\n'.join(lines)
        )
    write_durably(args.out, json.dumps(content).encode())
    print(f'{args.out}: {summary(content, reader.repairs)}')
    without = len(images.names) - len(read)
    if not args.names and without > 0:
        print(f'{without} images have no XML file and were left out')
