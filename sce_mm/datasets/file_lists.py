"""Find the images of a folder, or read a list of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence

IMAGE_EXTENSIONS = ('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff')
# So many entries of a list are looked up before a run starts.
_PROBES = 16


def find_images(
    roots: Sequence[str], extensions: Sequence[str] = IMAGE_EXTENSIONS
) -> list[str]:
    """All images below some folders, sorted, hidden files left out.

    Links are followed, but each real folder is read once: loops end, and no
    image is taken twice, whether by a link or by folders that overlap.

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
    """Paths of a text file, one a line, relative to ``root``.

    Raises:
        FileNotFoundError: No such list, nothing in it, or none of the
            entries looked up exists.
        ValueError: A path leads out of ``root``, or stands there twice.
    """
    if not os.path.isfile(list_file):
        raise FileNotFoundError(
            f'no list file {list_file!r}: check ann_file, which is taken '
            'relative to data_root unless absolute'
        )
    images: dict[str, int] = {}
    # Any bytes can be a file name; some editors begin with a byte order mark.
    with open(
        list_file, encoding='utf-8-sig', errors='surrogateescape'
    ) as lines:
        for number, line in enumerate(lines, 1):
            entry = line.strip()
            if not entry:
                continue
            if root and leads_out(entry):
                raise ValueError(
                    f'{list_file}, line {number}: {entry!r} leads out of '
                    f'data_root {root!r}; write paths relative to it, or '
                    "leave data_root empty ('') for absolute paths"
                )
            first = images.setdefault(os.path.join(root, entry), number)
            if first != number:
                raise ValueError(
                    f'{list_file}, line {number}: {entry!r} stands in line '
                    f'{first} already; an image that is twice in a batch '
                    'would be its own negative. Remove one'
                )
    if not images:
        raise FileNotFoundError(f'the list file {list_file!r} is empty')
    paths = list(images)
    probes = paths[:: max(1, len(paths) // _PROBES)]
    if not any(os.path.isfile(path) for path in probes):
        raise FileNotFoundError(
            f'none of {len(probes)} entries looked up in {list_file!r} '
            f'exists, for example {probes[0]!r}: check data_root, and that '
            'each line holds a path and nothing else (no label)'
        )
    return paths


def printable(path: str) -> str:
    """A path that logs and terminals take, even if its bytes are no UTF-8."""
    return path.encode(errors='backslashreplace').decode()


def _walk(folder: str, visited: set[tuple[int, int]]) -> Iterator[str]:
    if _identity(folder) in visited:
        return
    visited.add(_identity(folder))
    with os.scandir(folder) as entries:
        found = sorted(
            (entry for entry in entries if not entry.name.startswith('.')),
            key=lambda entry: entry.name,
        )
    for entry in found:
        if entry.is_dir():
            yield from _walk(entry.path, visited)
        elif entry.is_file():
            yield entry.path


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
