"""Find the images of a folder, or read a list of them."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.logging import print_log

IMAGE_EXTENSIONS = ('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff')
# So many entries of a list are looked up before a run starts.
_PROBES = 16


def find_images(
    roots: Sequence[str], extensions: Sequence[str] = IMAGE_EXTENSIONS
) -> list[str]:
    """All images below some folders, sorted, hidden files left out.

    Links are followed, but each real folder is read once: loops end, and no
    image is taken twice, whether by a link or by folders that overlap. Links
    that lead nowhere and folders that may not be read are left out, and the
    log says so.

    Raises:
        FileNotFoundError: No such folder, or no image in it; the message
            counts the files of other kinds.
        NotADirectoryError: A root is a file.
    """
    wanted = tuple(extension.lower() for extension in extensions)
    visited: set[tuple[int, int]] = set()
    images = []
    for root in roots:
        if not os.path.exists(root):
            raise FileNotFoundError(
                f'no folder {root!r} (looked in {os.getcwd()}): '
                'check data_root'
            )
        if not os.path.isdir(root):
            raise NotADirectoryError(
                f'{root!r} is a file, not a folder; a text file with one '
                'path a line is given as ann_file'
            )
        overlaps = _identity(root) in visited
        files = list(_walk(root, visited))
        found = [file for file in files if file.lower().endswith(wanted)]
        if not found and not overlaps:
            raise FileNotFoundError(_no_image(root, wanted, files))
        images.extend(found)
    return images


def read_image_list(list_file: str, root: str = '') -> list[str]:
    """Paths of a list, relative to ``root``.

    The list is a text file with one path a line, or, if its name ends in
    ``.json``, a JSON list of texts, which holds any name: also one with a
    line break, or with a space at its end.

    Raises:
        FileNotFoundError: No such list, nothing in it, or none of the
            entries looked up exists.
        ValueError: A path leads out of ``root``, or stands there twice, or
            cannot be a path; or a JSON file is not a list of texts.
    """
    if not os.path.isfile(list_file):
        raise FileNotFoundError(
            f'no list file {list_file!r}: check ann_file, which is taken '
            'relative to data_root unless absolute'
        )
    is_json = list_file.lower().endswith('.json')
    unit = 'entry' if is_json else 'line'
    entries = _json_entries if is_json else _text_entries
    paths: list[str] = []
    lines_of: dict[str, int] = {}
    for number, entry in entries(list_file):
        if not entry:
            continue
        if '\0' in entry:
            raise ValueError(
                f'{list_file}, {unit} {number}: {entry!r} holds a zero '
                'byte, which no path can: save the list as UTF-8 text'
            )
        if root and leads_out(entry):
            raise ValueError(
                f'{list_file}, {unit} {number}: {entry!r} leads out of '
                f'data_root {root!r}; write paths relative to it, or '
                "leave data_root empty ('') for absolute paths"
            )
        path = os.path.join(root, entry)
        # a/./b and a//b are the same file.
        first = lines_of.setdefault(os.path.normpath(path), number)
        if first != number:
            raise ValueError(
                f'{list_file}, {unit} {number}: {entry!r} stands in '
                f'{unit} {first} already; an image that is twice in a batch '
                'would be its own negative. Remove one'
            )
        paths.append(path)
    if not paths:
        raise FileNotFoundError(f'the list file {list_file!r} is empty')
    probes = paths[:: max(1, len(paths) // _PROBES)]
    if not any(os.path.isfile(path) for path in probes):
        raise FileNotFoundError(
            f'none of {len(probes)} entries looked up in {list_file!r} '
            f'exists, for example {probes[0]!r}: check data_root, and that '
            'each line holds a path and nothing else (no label)'
        )
    return paths


def write_image_list(list_file: Path, paths: Sequence[str]) -> None:
    """Write a list that :func:`read_image_list` reads, whatever the names.

    Args:
        list_file: Its name ends in ``.json``.
        paths: Of images; bytes that are not UTF-8 are kept, as ``os.fsdecode``
            gives them.
    """
    list_file.write_text(json.dumps(list(paths), indent=0), encoding='utf-8')


def printable(path: str) -> str:
    """A path in one line of plain text, whatever its bytes are.

    A name can hold line breaks that look like an entry of the log, and codes
    that terminals obey.
    """
    return ''.join(
        sign
        if sign.isprintable()
        else sign.encode('unicode_escape', 'backslashreplace').decode()
        for sign in path
    )


def _text_entries(list_file: str) -> Iterator[tuple[int, str]]:
    # Any bytes can be a file name; some editors begin with a byte order mark.
    with open(
        list_file, encoding='utf-8-sig', errors='surrogateescape'
    ) as lines:
        for number, line in enumerate(lines, 1):
            yield number, line.strip()


def _json_entries(list_file: str) -> Iterator[tuple[int, str]]:
    try:
        with open(list_file, encoding='utf-8') as file:
            content = json.load(file)
    # Neither JSON nor UTF-8.
    except ValueError as error:
        raise ValueError(f'{list_file} is not JSON: {error}') from error
    if not isinstance(content, list) or not all(
        isinstance(entry, str) for entry in content
    ):
        raise ValueError(
            f'{list_file} must be a JSON list of paths, such as '
            '["a.jpg", "b/c.jpg"]; labels in COCO format are none'
        )
    yield from enumerate(content, 1)


def _walk(folder: str, visited: set[tuple[int, int]]) -> Iterator[str]:
    try:
        identity = _identity(folder)
        if identity in visited:
            return
        visited.add(identity)
        with os.scandir(folder) as entries:
            found = sorted(
                (x for x in entries if not x.name.startswith('.')),
                key=lambda entry: entry.name,
            )
    # lost+found of a disk, for example, is for its administrator alone.
    except OSError as error:
        _warn(
            f'cannot look into the folder {printable(folder)} '
            f'({error.strerror}): what is in it is left out'
        )
        return
    lost = []
    for entry in found:
        # The path is asked: the entry of a link to itself raises.
        if os.path.isdir(entry.path):
            yield from _walk(entry.path, visited)
        elif os.path.isfile(entry.path):
            yield entry.path
        elif not os.path.exists(entry.path):
            lost.append(entry.name)
    if lost:
        _warn(
            f'{len(lost)} link(s) in {printable(folder)} lead nowhere and are '
            f'left out, for example {printable(lost[0])}'
        )


def _warn(message: str) -> None:
    print_log(message, logger='current', level=logging.WARNING)


def _identity(folder: str) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _no_image(root: str, wanted: Sequence[str], files: Sequence[str]) -> str:
    kinds = Counter(
        os.path.splitext(file)[1].lower() or 'without extension'
        for file in files
    )
    seen = ', '.join(f'{count} {kind}' for kind, count in kinds.most_common(8))
    return (
        f'no image below {root!r}: looked for {" ".join(wanted)} (any case, '
        f'all sub-folders), found {seen or "no file at all"}. Check '
        'data_root, or name other extensions'
    )


def leads_out(entry: str) -> bool:
    """Whether a path of a list is absolute or climbs out of its root."""
    inside = os.path.normpath(entry)
    return os.path.isabs(entry) or inside.split(os.sep)[0] == os.pardir
