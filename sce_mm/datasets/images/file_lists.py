"""Find the images of a folder, or read a list of them."""

from __future__ import annotations

import json
import logging
import os
import stat
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import compress
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from ...utils.text import printable

# All that decode_image reads; of an animation it takes the first frame.
IMAGE_EXTENSIONS = (
    *('.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.apng', '.webp', '.gif'),
    *('.bmp', '.tif', '.tiff', '.ppm', '.pgm', '.pbm', '.pnm'),
)
# What systems put beside the files of their users, in lower case.
_SYSTEM_NAMES = frozenset(
    {
        *('__macosx', '@eadir', '#recycle', '@recycle', '$recycle.bin'),
        *('system volume information', 'lost+found', 'desktop.ini'),
        *('thumbs.db', 'ehthumbs.db'),
    }
)
_KINDS_SHOWN = 8


def is_hidden(name: str) -> bool:
    """Whether all readers leave out files and folders of this name.

    Names that begin with a dot (``._a.jpg`` of a Mac, ``.ipynb_checkpoints``)
    and those that systems give (``__MACOSX``, ``@eaDir``, ``Thumbs.db``).

    Args:
        name: Of one file or folder, without the folders above it.
    """
    if name.startswith('.'):
        return name not in (os.curdir, os.pardir)
    return name.lower() in _SYSTEM_NAMES


def find_images(
    roots: Sequence[str], extensions: Sequence[str] = IMAGE_EXTENSIONS
) -> list[str]:
    """All images below some folders, sorted, without what is hidden.

    Links are followed, but each real folder is read once and each file taken
    once: loops end, and no image comes twice, by a symbolic or a hard link or
    by folders that overlap. What is left out is counted in the log: files of
    other kinds, further names of a file, links that lead nowhere, folders
    that may not be read. Only :func:`is_hidden` files go unmentioned.

    Raises:
        FileNotFoundError: No such folder, or no image in it; the message
            counts the files of other kinds.
        NotADirectoryError: A root is a file.
    """
    wanted = tuple(extension.lower() for extension in extensions)
    visited: set[tuple[int, int]] = set()
    images: list[str] = []
    identities = array('Q')
    lost: list[str] = []
    others: Counter[str] = Counter()
    for root in roots:
        _require_folder(root)
        overlaps = _identity(os.stat(root)) in visited
        count = len(images)
        kinds: Counter[str] = Counter()
        for path, identity in _walk(root, visited, lost):
            if path.lower().endswith(wanted):
                images.append(path)
                identities.extend(identity)
            else:
                kinds[os.path.splitext(path)[1].lower()] += 1
        if len(images) == count and not overlaps:
            raise FileNotFoundError(_no_image(root, wanted, kinds))
        others += kinds
    if others:
        _warn(
            f'left out below {printable(", ".join(roots))}: '
            f'{_counted(others)}. Only {" ".join(wanted)} are taken: convert '
            'images of other kinds to one of these'
        )
    if lost:
        _warn(
            f'{len(lost)} links or files cannot be reached and are left out, '
            f'for example {printable(lost[0])}'
        )
    return _once(images, identities)


def read_image_list(list_file: str, root: str = '') -> list[str]:
    """Paths of a list, relative to ``root``.

    The list is a text file with one path a line, or, if its name ends in
    ``.json``, a JSON list of texts, which holds any name: also one with a
    line break, or with a space at its end.

    As in a folder, hidden files are left out (below what all entries have in
    common), and of several names of a file the first is taken; the log counts
    them, and the entries that do not exist.

    Raises:
        FileNotFoundError: No such list, nothing in it, or no entry exists.
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
    return _existing_once(_shown(paths, list_file), list_file)


def write_image_list(list_file: Path, paths: Sequence[str]) -> None:
    """Write a list that :func:`read_image_list` reads, whatever the names.

    Args:
        list_file: Its name ends in ``.json``.
        paths: Of images; bytes that are not UTF-8 are kept, as ``os.fsdecode``
            gives them.
    """
    list_file.write_text(json.dumps(list(paths), indent=0), encoding='utf-8')


def _require_folder(root: str) -> None:
    if not os.path.exists(root):
        raise FileNotFoundError(
            f'no folder {root!r} (looked in {os.getcwd()})'
        )
    if not os.path.isdir(root):
        raise NotADirectoryError(
            f'{root!r} is a file, not a folder of images; a text file with '
            'one path a line is given as ann_file of the data set '
            '(--cfg-options train_dataloader.dataset.ann_file=FILE)'
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


def _walk(
    folder: str, visited: set[tuple[int, int]], lost: list[str]
) -> Iterator[tuple[str, tuple[int, int]]]:
    """Path and identity of each file; one status is asked for an entry."""
    try:
        identity = _identity(os.stat(folder))
        if identity in visited:
            return
        visited.add(identity)
        with os.scandir(folder) as entries:
            found = sorted(
                (x.name, x.path) for x in entries if not is_hidden(x.name)
            )
    # The folder of another user, for example.
    except OSError as error:
        _warn(
            f'cannot look into the folder {printable(folder)} '
            f'({error.strerror}): what is in it is left out'
        )
        return
    for _, path in found:
        try:
            status = os.stat(path)
        except OSError:
            lost.append(path)
            continue
        if stat.S_ISDIR(status.st_mode):
            yield from _walk(path, visited, lost)
        elif stat.S_ISREG(status.st_mode):
            yield path, _identity(status)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _once(paths: list[str], identities: array[int]) -> list[str]:
    """The first of the names that each file has, in the order of the paths.

    Args:
        paths: Of N files.
        identities: Device and number of each, 2 N values: 16 bytes a file
            where a set would take 170. A number of 0 is that of no file.
    """
    devices, numbers = np.array(identities).reshape(-1, 2).T
    # Stable: of equal ones the first path comes first.
    order = np.lexsort((devices, numbers))
    devices, numbers = devices[order], numbers[order]
    same = (devices[1:] == devices[:-1]) & (numbers[1:] == numbers[:-1])
    again = order[1:][same & (numbers[1:] != 0)]
    if not len(again):
        return paths
    _warn(
        f'{len(again)} files are further names (links) of images that are '
        f'taken already, and left out, for example '
        f'{printable(paths[again.min()])}'
    )
    first = np.ones(len(paths), bool)
    first[again] = False
    return list(compress(paths, first))


def _shown(paths: list[str], list_file: str) -> list[str]:
    """Paths of a list without hidden files, of which the log tells."""
    # Where all of them lie was chosen, be it ~/.cache.
    same = os.path.commonprefix([min(paths), max(paths)])  # noqa: RUF071
    common = len(os.path.dirname(same))
    shown = [
        path
        for path in paths
        if not any(map(is_hidden, path[common:].split(os.sep)))
    ]
    if not shown:
        raise FileNotFoundError(
            f'the list file {list_file!r} names hidden files alone, for '
            f'example {paths[0]!r}'
        )
    if len(shown) < len(paths):
        _warn(
            f'{len(paths) - len(shown)} hidden or system files that '
            f'{printable(list_file)} names are left out'
        )
    return shown


def _existing_once(paths: list[str], list_file: str) -> list[str]:
    identities = array('Q')
    missing = []
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            status = None
        if status is not None and stat.S_ISREG(status.st_mode):
            identities.extend(_identity(status))
        else:
            missing.append(path)
            identities.extend((0, 0))
    if len(missing) == len(paths):
        raise FileNotFoundError(
            f'none of {len(paths)} entries of {list_file!r} is a file, '
            f'for example {paths[0]!r}: check data_root, and that each line '
            'holds a path and nothing else (no label)'
        )
    if missing:
        _warn(
            f'{len(missing)} of {len(paths)} entries of '
            f'{printable(list_file)} are no files, for example '
            f'{printable(missing[0])}; other images will take their place'
        )
    return _once(paths, identities)


def _warn(message: str) -> None:
    print_log(message, logger='current', level=logging.WARNING)


def _counted(kinds: Counter[str]) -> str:
    """Numbers of files of each extension, the most frequent first."""
    shown = [
        f'{count} {printable(kind) or "without extension"}'
        for kind, count in kinds.most_common(_KINDS_SHOWN)
    ]
    if rest := kinds.total() - sum(
        n for _, n in kinds.most_common(_KINDS_SHOWN)
    ):
        shown.append(f'{rest} of other kinds')
    return ', '.join(shown)


def _no_image(root: str, wanted: Sequence[str], kinds: Counter[str]) -> str:
    found = _counted(kinds) or 'no file at all but hidden ones'
    return (
        f'no image below {root!r}, found {found}. Convert images to one of '
        f'{" ".join(wanted)}, or name other extensions'
    )


def leads_out(entry: str) -> bool:
    """Whether a path of a list is absolute or climbs out of its root."""
    inside = os.path.normpath(entry)
    return os.path.isabs(entry) or inside.split(os.sep)[0] == os.pardir
