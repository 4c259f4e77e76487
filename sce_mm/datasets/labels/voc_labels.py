"""Read Pascal VOC's XML files, and repair what labelling programs get wrong.

Each image is looked up and decoded. What is certain is repaired and counted,
everything else becomes a problem with its file and field.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from ...utils.errors import UnreadableImageError, UserError
from ...utils.progress import track
from ...utils.text import read_lines
from ..images.decoding import decode_image
from ..images.file_lists import IMAGE_EXTENSIONS, find_images, is_hidden

SIDES = ('width', 'height')
CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')
TRUE = ('1', 'true', 'yes')
FALSE = ('0', 'false', 'no', '', 'unspecified')
_FROM_ZERO = (
    'boxes have a corner at 0, where VOC counts from 1: if the program counts '
    'from 0, convert with --zero-based'
)

Size = tuple[float, float]
UNKNOWN = math.inf, math.inf


class Voc(NamedTuple):
    """One XML file that could be parsed."""

    path: Path
    root: ElementTree.Element

    def text(self, field: str) -> str:
        """Content of a field, '' without one."""
        return (self.root.findtext(field) or '').strip()


def list_files(folder: Path, names: Path | None) -> list[Path]:
    """XML files of a folder, or those of a list of names."""
    if not folder.is_dir():
        what = 'a file' if folder.exists() else 'not there'
        raise UserError(f'{folder} is {what}, expected a folder of XML files')
    if names is None:
        shown = (x for x in folder.iterdir() if not is_hidden(x.name))
        paths = sorted(x for x in shown if x.suffix.lower() == '.xml')
    else:
        if not names.is_file():
            raise UserError(f'--names: there is no file {names}')
        stems = map(_stem, read_lines(names))
        paths = [folder / f'{stem}.xml' for stem in dict.fromkeys(stems)]
    if not paths:
        raise FileNotFoundError(
            f'no XML file in {names or folder} (sub-folders are not searched)'
        )
    return paths


class Images:
    """Images of a folder, found by what annotations call them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = map(Path, find_images([str(folder)]))
        self.names = [path.relative_to(folder).as_posix() for path in paths]
        self._places: dict[tuple[int, str], list[str]] = defaultdict(list)
        for name in self.names:
            for key in enumerate(_keys(name)):
                self._places[key].append(name)

    def called(self, name: str) -> list[str]:
        """Files of this path, or name, in any case, with any extension."""
        found = map(self._places.get, enumerate(_keys(name)))
        return next(filter(None, found), [])


class VocReader:
    """Images and objects of XML files, with what was repaired and what not.

    Args:
        images: Images that the files may belong to.
        first_pixel: What corners call the first column and row: 1 in VOC,
            which mmdet's ``XMLDataset`` subtracts; 0 in files of some
            labelling programs.

    Attributes:
        problems: One line for each file or field that cannot be used.
        repairs: How often each kind of repair was made.
    """

    def __init__(self, images: Images, first_pixel: int = 1) -> None:
        self.images = images
        self.first_pixel = first_pixel
        self.problems: list[str] = []
        self.repairs: Counter[str] = Counter()

    def read(self, paths: list[Path]) -> list[dict[str, Any]]:
        """Name, size and objects of the image of each file."""
        files = []
        for path in paths:
            with self._noting(path.name):
                files.append(Voc(path, _parse(path)))
        image_of = self._find_image_of_each(files)
        read = []
        for voc in track(files, 'images'):
            name, size = image_of.get(voc.path, ''), UNKNOWN
            with self._noting(voc.path.name):
                size = self._read_size(voc, name) if name else UNKNOWN
            objects: list[dict[str, Any]] = []
            for number, item in enumerate(voc.root.iter('object'), 1):
                label = plain_name(item.findtext('name') or '')
                where = f'{voc.path.name}: object {number} ({label})'
                with self._noting(where):
                    objects += self._read_object(item, label, size)
            sides = dict(zip(SIDES, size, strict=True))
            read.append({'file_name': name, **sides, 'objects': objects})
        return read

    @contextmanager
    def _noting(self, where: str) -> Iterator[None]:
        """What is wrong inside becomes a problem, and the rest goes on."""
        try:
            yield
        except ValueError as error:
            self.problems.append(f'{where}: {error}')

    def _find_image_of_each(self, files: list[Voc]) -> dict[Path, str]:
        """The image of each XML file, where only one is possible."""
        called = self.images.called
        said = {voc.path: called(voc.text('filename')) for voc in files}
        claims = Counter(x[0] for x in said.values() if len(x) == 1)
        taken: dict[str, Path] = {}
        for voc in files:
            own, named = called(voc.path.stem), said[voc.path]
            # A name that several files have is right for one alone.
            alone = [x for x in named if all(claims[y] < 2 for y in named)]
            candidates = [x for x in named if x in own] or own + alone
            if not candidates:
                reason = (
                    'no image of this name that is not that of another file, '
                    'and none called like the XML file'
                )
            elif len(candidates) > 1:
                reason = f'could be any of {", ".join(sorted(candidates)[:3])}'
            elif candidates[0] in taken:
                other = taken[candidates[0]].name
                reason = f'{candidates[0]} is the image of {other} already'
            else:
                taken[candidates[0]] = voc.path
                continue
            self.problems.append(
                f'{voc.path.name}: filename {voc.text("filename")!r}: {reason}'
            )
        return {path: name for name, path in taken.items()}

    def _read_size(self, voc: Voc, name: str) -> Size:
        """Width and height of the image as detectors load it."""
        repaired = name != voc.text('filename')
        self.repairs['file names replaced by that of the image'] += repaired
        path = self.images.folder / name
        try:
            data = path.read_bytes()
            height, width = decode_image(data).shape[:2]
        except (OSError, UnreadableImageError) as error:
            raise UserError(
                f'filename: the image {path} cannot be read ({error})'
            ) from error
        texts = [voc.text(f'size/{side}') for side in SIDES]
        said = [_number(text) or 0 for text in texts]
        if min(said) <= 0 or said == [width, height]:
            same = texts == [str(width), str(height)]
            self.repairs['sizes taken from the image'] += not same
            return width, height
        turned = decode_image(data, apply_orientation=False).shape[1::-1]
        hint = 'do the boxes belong to it?'
        if tuple(said) == turned:
            hint = (
                'as its EXIF tag turns it, which detectors do: turn its '
                'pixels and boxes'
            )
        raise UserError(
            f'size: {" x ".join(texts)}, but {path.name} has {width} x '
            f'{height}; {hint}'
        )

    def _read_object(
        self, item: ElementTree.Element, name: str, size: Size
    ) -> list[dict[str, Any]]:
        """Class, box and crowd flag of an object; none without an area."""
        raw = item.findtext('name') or ''
        if not name or '\ufffd' in name:
            raise UserError(f'name {raw!r}: no class, or in another encoding')
        flag = (item.findtext('difficult') or '').strip().lower()
        if flag not in TRUE + FALSE:
            raise UserError(f'difficult {flag!r}: neither 0 nor 1')
        given, spans, inside = [], [], []
        for corner in CORNERS:
            text = item.findtext(f'bndbox/{corner}') or ''
            if (value := _number(text)) is None:
                raise UserError(f'bndbox: no number in {corner} {text!r}')
            given.append(value)
        for axis, (side, limit) in enumerate(zip(SIDES, size, strict=True)):
            low, high = sorted(given[axis::2])
            start, end = self.first_pixel, self.first_pixel + limit
            if high < 0 or low > end:
                raise UserError(
                    f'bndbox: {low:g} to {high:g} is outside the image '
                    f'({side} {limit:g})'
                )
            spans.append((low, high))
            inside.append((max(low, start), min(high, end)))
        words = flag not in ('', '0', '1')
        self.repairs['class names without surplus blanks'] += name != raw
        self.repairs['words for difficult read as 0 or 1'] += words
        (left, right), (top, bottom) = inside
        width, height = right - left, bottom - top
        if min(width, height) <= 0:
            self.repairs['boxes without an area left out'] += 1
            return []
        swapped = spans != [tuple(given[::2]), tuple(given[1::2])]
        self.repairs['boxes with swapped corners'] += swapped
        self.repairs['boxes cut at the edge of the image'] += inside != spans
        self.repairs[_FROM_ZERO] += self.first_pixel == 1 and 0 in given
        left, top = left - self.first_pixel, top - self.first_pixel
        box = {'bbox': [left, top, width, height], 'area': width * height}
        # COCO's word for what counts neither way.
        return [{'name': name, **box, 'iscrowd': int(flag in TRUE)}]


def plain_name(name: str) -> str:
    """A class name as it looks: one way for blanks and for accents."""
    return unicodedata.normalize('NFC', ' '.join(name.split()))


def _parse(path: Path) -> ElementTree.Element:
    """Parse XML in any encoding that it shows or declares."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f'cannot be read ({error.strerror})') from error
    texts: tuple[bytes | str, ...] = (data, *_decoded(data))
    reasons = []
    for text in texts:
        try:
            root = ElementTree.fromstring(text)
        # Also an encoding that is unknown, or of several bytes.
        except (ElementTree.ParseError, LookupError, ValueError) as error:
            reasons.append(str(error))
            continue
        if root.tag != 'annotation':
            raise UserError(f'<{root.tag}> where VOC has <annotation>')
        return root
    raise UserError(f'no XML that can be read ({reasons[0]})')


def _decoded(data: bytes) -> Iterator[str]:
    head = data[:200].replace(b'\0', b'')
    declared = re.search(rb'encoding\s*=\s*["\']([\w.-]+)', head)
    for name in (
        declared[1].decode() if declared else 'utf-8-sig',
        *('utf-8', 'utf-16-le', 'utf-16-be'),
    ):
        with suppress(LookupError, UnicodeDecodeError):
            yield data.decode(name).strip().strip('\0')
    # What is no text becomes U+FFFD, which matters only where it is used.
    yield data.decode(errors='replace').strip().strip('\0')


def _keys(name: str) -> tuple[str, str, str, str]:
    path = name.replace('\\', '/')
    base = path.rsplit('/', 1)[-1]
    # Macs write an accent as a letter of its own.
    folded = unicodedata.normalize('NFC', base).casefold()
    return path, base, folded, _stem(folded)


def _stem(name: str) -> str:
    path = Path(name)
    known = path.suffix.lower() in (*IMAGE_EXTENSIONS, '.xml')
    return path.stem if known else path.name


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
