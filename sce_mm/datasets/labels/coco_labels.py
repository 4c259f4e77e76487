"""Read an annotation file in COCO format and list what is wrong with it.

Labelling programs write files that look like COCO and lack something. mmdet
and pycocotools find out late (in the first evaluation), or leave boxes out
without a message, so every field is checked here.
"""

from __future__ import annotations

import json
import math
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ...utils.errors import UnreadableImageError, UserError
from ..images.decoding import header_size
from .subsets import choose_part

# Length of a value in a message.
_SHOWN = 60


class _Field(NamedTuple):
    """What a field must hold, as text and as a test.

    Only a link, by which parts of the file refer to each other, may not be
    missing where a file is only divided.
    """

    expected: str
    holds: Callable[[Any], bool]
    link: bool = False


def read_coco(
    path: Path, images: Path | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Content of an annotation file, and what is wrong with it.

    Args:
        path: The file.
        images: Folder in which its images must be; None for a file that is
            only divided, of which no image is looked for and which may lack
            fields that only a detector reads.

    Returns:
        The content, which is safe to use only without problems, and one
        line for each kind of problem.
    """
    try:
        content = json.loads(path.read_text('utf-8'))
    except OSError as error:
        return {}, [f'{path}: cannot be read ({error.strerror})']
    except UnicodeDecodeError:
        return {}, [f'{path}: is no text in UTF-8, expected JSON in it']
    # No JSON, or nested without end.
    except (ValueError, RecursionError) as error:
        if path.read_bytes().startswith(BOM_UTF8):
            # Which pycocotools does not read.
            problem = 'begins with a byte order mark: save it without'
            return {}, [f'{path}: {problem}']
        return {}, [f'{path}: is not JSON ({error})']
    problems = _problems(content, images)
    return content, [f'{path}: {problem}' for problem in problems]


def notes(content: dict[str, Any], images: Path) -> Iterator[str]:
    """What detectors count in another way than the labels suggest.

    Args:
        content: Labels without problems.
        images: Folder of their images, of which the headers are read.
    """
    sizes = {i['id']: (i['width'], i['height']) for i in content['images']}
    boxes = content['annotations']
    lost = [a['id'] for a in boxes if _left_out(a, *sizes[a['image_id']])]
    if lost:
        yield (
            f'{len(lost)} of {len(boxes)} boxes are outside '
            'their image, narrower than a pixel, without an area or marked to '
            'be ignored: mmdet leaves them out of the training, for example '
            f'annotation {lost[0]}'
        )
    for part, them, entries in (
        ('images', 'files', [i['file_name'] for i in content['images']]),
        (
            'annotations',
            'boxes of a category',
            [(a['image_id'], a['category_id'], *a['bbox']) for a in boxes],
        ),
    ):
        if again := len(entries) - len(set(entries)):
            yield (
                f'{again} of {len(entries)} {part} are there again, with the '
                f'same {them} under another id: they count twice'
            )
    other = []
    for image in content['images']:
        path = images / image['file_name']
        size = _size(path)
        if size and size != (image['width'], image['height']):
            other.append((image, path, size))
    if other:
        image, path, (width, height) = other[0]
        said = image['width'], image['height']
        turned = ' (turned as an EXIF tag says)' * (_size(path, False) == said)
        yield (
            f'{len(other)} of {len(sizes)} images have not the size that the '
            f'labels say, for example {image["file_name"]}: {said[0]} x '
            f'{said[1]}, but detectors see {width} x {height}{turned}: do the '
            'boxes fit?'
        )


def has_objects(content: dict[str, Any]) -> bool:
    """Whether labels without problems have a box that mmdet trains on."""
    sizes = {i['id']: (i['width'], i['height']) for i in content['images']}
    return any(
        not (box['iscrowd'] or _left_out(box, *sizes[box['image_id']]))
        for box in content['annotations']
    )


def number_from_one(content: dict[str, Any]) -> dict[str, Any]:
    """The same labels, with no annotation whose id is 0.

    pycocotools marks a detection by the id of the object that it found, and 0
    is its mark for none, so that it counts a right detection as wrong.
    """
    boxes = content['annotations']
    if all(box.get('id') != 0 for box in boxes):
        return content
    boxes = [box | {'id': number} for number, box in enumerate(boxes, 1)]
    return content | {'annotations': boxes}


def part_of(
    content: dict[str, Any], percent: float, seed: int
) -> dict[str, Any]:
    """Labels of a part of the images, at least one; all categories.

    The images are those of :func:`~.subsets.choose_part`.
    """
    ids = [image['id'] for image in content['images']]
    chosen = set(choose_part(ids, percent, seed))
    images = [i for i in content['images'] if i['id'] in chosen]
    boxes = [a for a in content['annotations'] if a['image_id'] in chosen]
    return content | {'images': images, 'annotations': boxes}


def take_categories(
    content: dict[str, Any], categories: list[dict[str, Any]]
) -> dict[str, Any]:
    """The same labels with the categories of others, found by name.

    mmdet numbers classes in the order in which a file has them, so that files
    of one detector must have the same list, also of classes without a box.

    Args:
        content: Labels without problems.
        categories: Categories of the other labels, a superset.

    Raises:
        UserError: A category has a name that is not among ``categories``.
    """
    if content['categories'] == categories:
        return content
    ids = {category['name']: category['id'] for category in categories}
    own = {c['id']: c['name'] for c in content['categories']}
    if strange := [name for name in own.values() if name not in ids]:
        raise UserError(
            f'categories, name: {", ".join(strange)} not among '
            f'{", ".join(ids)}'
        )
    boxes = [
        box | {'category_id': ids[own[box['category_id']]]}
        for box in content['annotations']
    ]
    return content | {'categories': categories, 'annotations': boxes}


def is_mask(segmentation: Any) -> bool:
    """Whether it is polygons of three points or more, or a run-length code."""
    if isinstance(segmentation, dict):
        return segmentation.keys() >= {'size', 'counts'}
    return isinstance(segmentation, list) and all(
        _numbers(polygon) and len(polygon) >= 6 and len(polygon) % 2 == 0
        for polygon in segmentation or [[]]
    )


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return _whole(value) or (isinstance(value, float) and math.isfinite(value))


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and all(map(_number, value))


def _box(value: Any) -> bool:
    # COCO itself has boxes without width: notes() counts them.
    return _numbers(value) and len(value) == 4 and min(value[2:]) >= 0


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


_ID = _Field('a whole number', _whole, link=True)
_SIZE = _Field(
    'a whole number of pixels above 0', lambda v: _whole(v) and v > 0
)
_PARTS: dict[str, dict[str, _Field]] = {
    'images': {
        'id': _ID,
        'file_name': _Field('a file name', _text),
        'width': _SIZE,
        'height': _SIZE,
    },
    'annotations': {
        'id': _ID._replace(link=False),
        'image_id': _ID,
        'category_id': _ID,
        'bbox': _Field(
            'four finite numbers [left, top, width, height] with no negative '
            'width or height',
            _box,
        ),
        'area': _Field(
            'a finite number, not negative', lambda v: _number(v) and v >= 0
        ),
        'iscrowd': _Field('0 or 1', lambda v: v in (0, 1)),
    },
    'categories': {'id': _ID, 'name': _Field('a name', _text, link=True)},
}


def _problems(content: Any, images: Path | None) -> list[str]:
    if not isinstance(content, dict):
        hint = ' (results of a detector?)' * isinstance(content, list)
        return [
            f'expected an object with {", ".join(_PARTS)}; got '
            f'{_short(content)}{hint}'
        ]
    complete = images is not None
    found: list[str] = []
    for part in _PARTS:
        found += _part_problems(content, part, complete)
    # References between broken parts would only repeat what was said.
    found = found or list(_reference_problems(content))
    found = found or list(_unit_problems(content))
    if complete and not found:
        if all(a['iscrowd'] for a in content['annotations']):
            found.append(
                'annotations, iscrowd: all are 1: a crowd counts neither '
                'way, so there is no object to learn or to find'
            )
        elif not has_objects(content):
            found.append(
                'annotations: none is a box of a pixel or more, with an area, '
                'inside its image: there is no object to learn or to find'
            )
        wanted = content['images']
        missing = [
            x for x in wanted if not (images / x['file_name']).is_file()
        ]
        if missing:
            found.append(
                f'images, file_name: {len(missing)} of '
                f'{len(wanted)} are not in {images}, first '
                f'id {missing[0]["id"]}: {_short(missing[0]["file_name"])}'
            )
    return found


def _part_problems(
    content: dict[str, Any], part: str, complete: bool
) -> Iterator[str]:
    fields, entries = _PARTS[part], content.get(part)
    if not isinstance(entries, list) or not entries:
        got = _short(entries) if part in content else 'nothing'
        yield f'{part}: expected a list of objects, one at least; got {got}'
        return
    if wrong := [e for e in entries if not isinstance(e, dict)]:
        yield (
            f'{part}: expected objects with {", ".join(fields)}; got '
            f'{_short(wrong[0])}'
        )
        return
    for name, field in fields.items():
        bad = [
            (index, entry)
            for index, entry in enumerate(entries)
            if (name in entry or field.link or complete)
            and not field.holds(entry.get(name))
        ]
        if bad:
            got = _short(bad[0][1][name]) if name in bad[0][1] else 'missing'
            yield (
                f'{part}, {name}: expected {field.expected}; {len(bad)} of '
                f'{len(entries)} differ, first {_called(*bad[0])}: {got}'
            )


def _reference_problems(content: dict[str, Any]) -> Iterator[str]:
    names = dict.fromkeys(_PARTS, 'id')
    for part, name in (*names.items(), ('categories', 'name')):
        counts = Counter(e[name] for e in content[part] if name in e)
        repeated = [value for value, count in counts.items() if count > 1]
        if repeated:
            yield (
                f'{part}, {name}: each must be unique; {len(repeated)} are '
                f'repeated, for example {_short(repeated[0])}'
            )
    annotations = content['annotations']
    for name, part in (('image_id', 'images'), ('category_id', 'categories')):
        known = {entry['id'] for entry in content[part]}
        stray = [p for p in enumerate(annotations) if p[1][name] not in known]
        if stray:
            yield (
                f'annotations, {name}: {len(stray)} of {len(annotations)} '
                f'name one that is not among the {part}, first '
                f'{_called(*stray[0])}: {stray[0][1][name]}'
            )


def _unit_problems(content: dict[str, Any]) -> Iterator[str]:
    """What boxes look like that are not left, top, width, height in pixels."""
    sizes = {
        image['id']: (image['width'], image['height'])
        for image in content['images']
        if {'width', 'height'} <= image.keys()
    }
    boxes = [a for a in content['annotations'] if 'bbox' in a]
    if boxes and all(max(a['bbox']) <= 1 for a in boxes):
        yield (
            'annotations, bbox: expected [left, top, width, height] in '
            f'pixels; no number is above 1, so all {len(boxes)} look like '
            'shares of the image'
        )
        return
    known = [
        (a['bbox'], *sizes[a['image_id']])
        for a in boxes
        if a['image_id'] in sizes
    ]
    # Labelling programs round by a pixel.
    beyond = sum(
        left + w > width + 1 or top + h > height + 1
        for (left, top, w, h), width, height in known
    )
    are_corners = all(
        left <= right <= width + 1 and top <= bottom <= height + 1
        for (left, top, right, bottom), width, height in known
    )
    if are_corners and 2 * beyond > len(known):
        yield (
            'annotations, bbox: expected [left, top, width, height]; '
            f'{beyond} of {len(known)} reach beyond their image, and all of '
            'them fit as [left, top, right, bottom]: subtract left and top'
        )


def _left_out(annotation: dict[str, Any], width: int, height: int) -> bool:
    """Whether mmdet's ``CocoDataset`` leaves a box out."""
    if annotation.get('ignore'):
        return True
    left, top, w, h = annotation['bbox']
    inside_w = min(left + w, width) - max(left, 0)
    inside_h = min(top + h, height) - max(top, 0)
    return min(inside_w, inside_h, annotation['area']) <= 0 or min(w, h) < 1


def _size(path: Path, turned: bool = True) -> tuple[int, int] | None:
    """Width and height, ``turned`` as mmcv does; None without a header."""
    try:
        height, width = header_size(path, turned)
    except UnreadableImageError:
        return None
    return width, height


def _called(index: int, entry: dict[str, Any]) -> str:
    return f'id {_short(entry["id"])}' if 'id' in entry else f'entry {index}'


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + '...'
