"""Read XML files of Pascal VOC and find the image of each of them."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from sce_mm.datasets.images.file_lists import (
    IMAGE_EXTENSIONS,
    find_images,
    is_hidden,
)


class Voc(NamedTuple):
    """One XML file that could be parsed."""

    path: Path
    root: ElementTree.Element

    def text(self, field: str) -> str:
        """Content of a field, or an empty text."""
        return (self.root.findtext(field) or '').strip()


def list_files(folder: Path, names: Path | None) -> list[Path]:
    """XML files of a folder, or those of a list of names.

    Raises:
        FileNotFoundError: There is none.
    """
    if names is None:
        paths = sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() == '.xml' and not is_hidden(path.name)
        )
    else:
        lines = names.read_text('utf-8-sig').splitlines()
        stems = [_stem(line.strip()) for line in lines if line.strip()]
        paths = [folder / f'{stem}.xml' for stem in dict.fromkeys(stems)]
    if not paths:
        raise FileNotFoundError(
            f'no XML file in {names or folder} (sub-folders are not searched)'
        )
    return paths


def parse_files(paths: list[Path], problems: list[str]) -> list[Voc]:
    """All files that are annotations; the others become problems."""
    parsed = []
    for path in paths:
        try:
            root = _parse(path.read_bytes())
        except (OSError, ElementTree.ParseError) as error:
            reason = getattr(error, 'strerror', error)
            problems.append(f'{path.name}: no XML that can be read ({reason})')
            continue
        if root.tag == 'annotation':
            parsed.append(Voc(path, root))
        else:
            problems.append(
                f'{path.name}: <{root.tag}> where VOC has <annotation>'
            )
    return parsed


def _parse(data: bytes) -> ElementTree.Element:
    """Parse XML in any encoding that it shows or declares."""
    first = None
    for text in (data, *_decoded(data)):
        try:
            return ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            first = first or error
        # An encoding that is unknown, or of several bytes.
        except (LookupError, ValueError):
            pass
    raise first or ElementTree.ParseError('unknown encoding')


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


class Images:
    """Images of a folder, found by what annotations call them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names = [
            Path(path).relative_to(folder).as_posix()
            for path in find_images([str(folder)])
        ]
        self._tables: list[dict[str, list[str]]] = [
            defaultdict(list) for _ in range(4)
        ]
        for name in self.names:
            for table, key in zip(self._tables, _keys(name), strict=True):
                table[key].append(name)

    def called(self, name: str) -> list[str]:
        """Those of this path, or name, in any case, with any extension."""
        for table, key in zip(self._tables, _keys(name), strict=True):
            if name and key in table:
                return table[key]
        return []


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


def find_image_of_each(
    files: list[Voc], images: Images, problems: list[str]
) -> dict[Path, str]:
    """The image of each XML file, where only one is possible."""
    said = {voc.path: images.called(voc.text('filename')) for voc in files}
    claims = Counter(found[0] for found in said.values() if len(found) == 1)
    taken: dict[str, Path] = {}
    for voc in files:
        own, named = images.called(voc.path.stem), said[voc.path]
        candidates = [x for x in named if x in own]
        if not candidates:
            # A name that several files have is right for one alone.
            repeated = any(claims[x] > 1 for x in named)
            candidates = own + ([] if repeated else named)
        if not candidates:
            reason = (
                'no image of this name that is not that of another file, and '
                'none called like the XML file'
            )
        elif len(candidates) > 1:
            reason = f'could be any of {", ".join(sorted(candidates)[:3])}'
        elif candidates[0] in taken:
            other = taken[candidates[0]].name
            reason = f'{candidates[0]} is the image of {other} already'
        else:
            taken[candidates[0]] = voc.path
            continue
        problems.append(
            f'{voc.path.name}: filename {voc.text("filename")!r}: {reason}'
        )
    return {path: name for name, path in taken.items()}
