"""XML files of Pascal VOC, and the image that each of them is about."""

import codecs
import re
import unicodedata
from collections import Counter, defaultdict
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
        """Content of a field, '' without one."""
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


def _stem(name: str) -> str:
    path = Path(name)
    known = path.suffix.lower() in (*IMAGE_EXTENSIONS, '.xml')
    return path.stem if known else path.name


def decode_text(data: bytes) -> str:
    """Text of an XML file in any encoding that it shows or declares.

    What is no text in it becomes U+FFFD, which matters only where it is used.
    """
    for mark, encoding in (
        (codecs.BOM_UTF8, 'utf-8-sig'),
        (codecs.BOM_UTF16_LE, 'utf-16'),
        (codecs.BOM_UTF16_BE, 'utf-16'),
        (b'<\0', 'utf-16-le'),
        (b'\0<', 'utf-16-be'),
    ):
        if data.startswith(mark):
            return data.decode(encoding, 'replace')
    declared = re.match(rb'\s*<\?xml[^>]*?encoding\s*=\s*["\']([\w.-]+)', data)
    name = declared.group(1).decode() if declared else 'utf-8'
    # Bytes that were read as ASCII up to here are not of 16 or 32 bits.
    for encoding in (name, 'utf-8'):
        if not re.match(r'utf.?(16|32)|ucs', encoding, re.IGNORECASE):
            try:
                return data.decode(encoding)
            except (LookupError, UnicodeDecodeError):
                pass
    return data.decode(errors='replace')


def parse_files(paths: list[Path], problems: list[str]) -> list[Voc]:
    """All files that are annotations; the others become problems."""
    parsed = []
    for path in paths:
        try:
            text = decode_text(path.read_bytes())
            root = ElementTree.fromstring(text.strip().strip('\0'))
        except FileNotFoundError:
            problems.append(f'{path.name}: no such file')
        except (OSError, ElementTree.ParseError) as error:
            problems.append(f'{path.name}: no XML that can be read ({error})')
        else:
            if root.tag == 'annotation':
                parsed.append(Voc(path, root))
            else:
                problems.append(
                    f'{path.name}: <{root.tag}> where VOC has <annotation>'
                )
    return parsed


class Images:
    """Images of a folder, found by what annotations call them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tables: list[dict[str, list[str]]] = [
            defaultdict(list) for _ in range(4)
        ]
        for path in find_images([str(folder)]):
            name = Path(path).relative_to(folder).as_posix()
            for table, key in zip(self._tables, _keys(name), strict=True):
                table[key].append(name)

    def __len__(self) -> int:
        return sum(map(len, self._tables[0].values()))

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


def find_image_of_each(
    files: list[Voc], images: Images, problems: list[str]
) -> dict[Path, str]:
    """The image of each XML file, where only one is possible."""
    said = {voc.path: images.called(voc.text('filename')) for voc in files}
    own = {voc.path: images.called(voc.path.stem) for voc in files}
    claims = Counter(found[0] for found in said.values() if len(found) == 1)
    chosen: dict[Path, str] = {}
    taken: dict[str, Path] = {}
    for path, name in ((v.path, v.text('filename')) for v in files):
        candidates = [x for x in said[path] if x in own[path]]
        if not candidates:
            # A name that several files have is right for one alone.
            repeated = any(claims[x] > 1 for x in said[path])
            candidates = own[path] + ([] if repeated else said[path])
        if len(candidates) == 1 and candidates[0] not in taken:
            chosen[path] = candidates[0]
            taken[candidates[0]] = path
        else:
            where = f'{path.name}: filename {name!r}: '
            problems.append(where + _why_none(candidates, taken))
    return chosen


def _why_none(candidates: list[str], taken: dict[str, Path]) -> str:
    if not candidates:
        return (
            'no image of this name that is not that of another file, and '
            'none called like the XML file'
        )
    if len(candidates) > 1:
        return f'could be any of {", ".join(sorted(candidates)[:3])}'
    (name,) = candidates
    return f'{name} is the image of {taken[name].name} already'
