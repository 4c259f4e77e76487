"""Find the images of a folder or of tar files, or read a list of them."""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ...utils.durable_files import write_durably
from ...utils.errors import UserError
from ...utils.progress import warn
from ...utils.text import counted, printable
from .shards import COMPRESSIONS, is_file, is_shard, list_members

# All that decode_image reads; of an animation it takes the first frame.
IMAGE_EXTENSIONS = (
    *('.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.apng', '.webp', '.gif'),
    *('.bmp', '.tif', '.tiff', '.ppm', '.pgm', '.pbm', '.pnm'),
)
# Behind the advice to unpack an archive.
_UNPACK = ', or only decompress a tar (gunzip): a .tar file is read as it is'
_VIDEOS = frozenset(
    {
        *('.mp4', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.wmv'),
        *('.mpg', '.mpeg', '.mts', '.flv', '.3gp'),
    }
)
_PACKED = tuple(end for _, ends, _ in COMPRESSIONS for end in ends)
_ARCHIVES = ('.zip', '.7z', '.rar', *_PACKED)
# Unreadable images that the log names.
_NAMED = 10
# What systems put beside the files of their users, in lower case.
_SYSTEM_NAMES = frozenset(
    {
        *('__macosx', '@eadir', '#recycle', '@recycle', '$recycle.bin'),
        *('system volume information', 'lost+found', 'desktop.ini'),
        *('thumbs.db', 'ehthumbs.db'),
    }
)


def is_hidden(name: str) -> bool:
    """Whether all readers ignore files and folders of this name.

    Names that begin with a dot (``._a.jpg`` of a Mac, ``.ipynb_checkpoints``)
    and those that systems give (``__MACOSX``, ``@eaDir``, ``Thumbs.db``).
    The name is without the folders above it.
    """
    if name.startswith('.'):
        return name not in (os.curdir, os.pardir)
    return name.lower() in _SYSTEM_NAMES


def find_images(
    roots: Sequence[str], extensions: Sequence[str] = IMAGE_EXTENSIONS
) -> list[str]:
    """All images below some folders, sorted, without what is hidden.

    A folder that holds tar files, but no folder or image beside them, stands
    for the images in these, in the order of the tar files; so does a tar file
    that is named itself. Elsewhere tar files are left out: the images that
    they were unpacked to may lie there too.

    Links are followed, but each folder is read once and each file taken once,
    whatever its names. The log counts what is left out, except for hidden
    files: other kinds, further names of a file, links that lead nowhere,
    folders that may not be read.

    Raises:
        FileNotFoundError: There is no such folder, or no image in it; the
            message counts the files of other kinds.
        NotADirectoryError: A root is a file, but no tar.
        UserError: A tar file is compressed, damaged or cut off.
    """
    wanted = tuple(extension.lower() for extension in extensions)
    visited: set[tuple[int, int]] = set()
    images = _Files()
    lost: list[str] = []
    others: Counter[str] = Counter()
    for root in roots:
        require_folder(root)
        found = False
        unreachable = len(lost)
        kinds: Counter[str] = Counter()
        overlaps = _identity(os.stat(root)) in visited
        files: Iterable[tuple[str, os.stat_result | None]]
        if shards := _shards_of(root):
            # The folder is not walked, so that it may overlap with others.
            overlaps = _identity(os.stat(shards[0])) in visited
            files = _walk_shards(shards, visited)
        else:
            files = _walk(root, visited, lost)
        for path, status in files:
            if path.lower().endswith(wanted):
                images.add(path, status)
                found = True
            else:
                kinds[os.path.splitext(path)[1].lower()] += 1
        if not found and not overlaps:
            there = [_counted(kinds)] * bool(kinds)
            if links := lost[unreachable:]:
                there.append(
                    f'{len(links)} links or files that cannot be reached, '
                    f'such as {links[0]!r}'
                )
            raise FileNotFoundError(
                f'no image below {root!r}, found '
                f'{" and ".join(there) or "no file (hidden ones left out)"}'
                f'{_advice(kinds, wanted)}'
            )
        others += kinds
    if others:
        warn(
            f'left out below {printable(", ".join(roots))}: '
            f'{_counted(others)}{_advice(others, wanted)}'
        )
    if lost:
        warn(
            f'{len(lost)} links or files cannot be reached and are left out, '
            f'for example {printable(lost[0])}'
        )
    return images.once()


def require_folder(root: str) -> None:
    """Refuse what is no folder and no tar; say what may have been meant.

    Raises:
        FileNotFoundError: There is nothing of this name.
        NotADirectoryError: It is another file.
    """
    if os.path.isdir(root) or (is_shard(root) and os.path.isfile(root)):
        return
    if os.path.exists(root):
        named = 'is a file, expected a folder of images'
        if root.lower().endswith(_ARCHIVES):
            advice = _UNPACK if root.lower().endswith(_PACKED) else ''
            raise NotADirectoryError(f'{root!r} {named}: unpack it{advice}')
        raise NotADirectoryError(
            f'{root!r} {named}, a .tar file of them, or a list: a .txt file '
            'with a path a line, or a .json file with a list of paths'
        )
    if '://' in root:
        raise FileNotFoundError(
            f'{root!r} is an address, expected a folder: download the images'
        )
    if any(sign in root for sign in '*?[{'):
        raise FileNotFoundError(
            f'no folder {root!r}: patterns are not taken, name the folder, '
            'in which all images are found'
        )
    kind = 'tar file' if is_shard(root) else 'folder'
    raise FileNotFoundError(f'no {kind} {root!r} (looked in {os.getcwd()})')


def is_image_list(path: str) -> bool:
    """Whether a path that an option names is a list, not a folder or tar."""
    is_named_so = path.lower().endswith(('.txt', '.json'))
    return is_named_so and os.path.isfile(os.path.expanduser(path))


def read_image_list(list_file: str, root: str = '') -> list[str]:
    """Paths of a list, relative to ``root``.

    The list is a text file with one path a line, or, if its name ends in
    ``.json``, a JSON list of texts, which holds any name: also one with a
    line break, or with a space at its end. A list of tar files stands for
    all images in them; an image in a tar may be named by itself
    (:mod:`.shards`).

    As in a folder, hidden files are left out (below what all entries have in
    common), and each file is taken once; the log counts what is left out, and
    the entries that do not exist.

    Raises:
        FileNotFoundError: There is no such list, nothing in it, or no entry
            exists.
        UserError: A path leads out of ``root``, or stands there twice, or
            cannot be a path; or a JSON file is not a list of texts; or tar
            files stand beside images.
    """
    if not os.path.isfile(list_file):
        raise FileNotFoundError(
            f'no list file {list_file!r}: check ann_file, which is taken '
            'relative to data_root unless absolute'
        )
    is_json = list_file.lower().endswith('.json')
    unit = 'entry' if is_json else 'line'
    paths: list[str] = []
    lines_of: dict[str, int] = {}
    for number, entry in enumerate(_entries(list_file, is_json), 1):
        if not entry:
            continue
        here = f'{list_file}, {unit} {number}: {entry!r}'
        if '\0' in entry:
            raise UserError(
                f'{here} holds a zero byte, which no path can: save the list '
                'as UTF-8 text'
            )
        if root and leads_out(entry):
            raise UserError(
                f'{here} leads out of data_root {root!r}; write paths '
                "relative to it, or leave data_root empty ('') for absolute "
                'paths'
            )
        path = os.path.join(root, entry)
        # a/./b and a//b are the same file.
        first = lines_of.setdefault(os.path.normpath(path), number)
        if first != number:
            raise UserError(
                f'{here} stands in {unit} {first} already; an image that is '
                'twice in a batch would be its own negative. Remove one'
            )
        paths.append(path)
    if not paths:
        raise FileNotFoundError(f'the list file {list_file!r} is empty')
    if any(map(is_shard, paths)):
        if not all(map(is_shard, paths)):
            raise UserError(
                f'{list_file} names tar files and images: write a list of '
                'each, or unpack the tar files'
            )
        return find_images(paths)
    return _existing(_without_hidden(paths, list_file), list_file, root)


def write_image_list(list_file: Path, paths: Sequence[str]) -> None:
    """Write a ``.json`` list of any names for :func:`read_image_list`."""
    write_durably(list_file, json.dumps(list(paths), indent=0).encode())


def leads_out(entry: str) -> bool:
    """Whether a path of a list is absolute or climbs out of its root."""
    inside = os.path.normpath(entry)
    return os.path.isabs(entry) or inside.split(os.sep)[0] == os.pardir


class _Files:
    """Paths in their order; of several names of a file the first is kept."""

    def __init__(self) -> None:
        self._paths: list[str] = []
        self._links: list[str] = []
        # One integer takes less memory than a pair, of a million files.
        self._seen: set[int] = set()

    def add(self, path: str, status: os.stat_result | None) -> None:
        # A number of 0 is that of no file, as on some network drives.
        if status is not None and status.st_ino:
            key = status.st_dev << 64 | status.st_ino
            if key in self._seen:
                self._links.append(path)
                return
            self._seen.add(key)
        self._paths.append(path)

    def once(self) -> list[str]:
        if self._links:
            warn(
                f'{len(self._links)} files are further names (links) of '
                'images that are taken already, and left out, for example '
                f'{printable(self._links[0])}'
            )
        return self._paths


def _entries(list_file: str, is_json: bool) -> Iterable[str]:
    if not is_json:
        # Any bytes can be a file name; some editors begin with a byte order
        # mark.
        if Path(list_file).read_bytes()[:2] in (b'\xff\xfe', b'\xfe\xff'):
            raise UserError(f'{list_file} is text in UTF-16: save it as UTF-8')
        text = Path(list_file).read_text('utf-8-sig', 'surrogateescape')
        if '\0' in text:
            raise UserError(
                f'{list_file} is no text: expected a path a line, in UTF-8'
            )
        return [line.strip() for line in text.split('\n')]
    try:
        content = json.loads(Path(list_file).read_text('utf-8-sig'))
    except UnicodeDecodeError as error:
        raise UserError(
            f'{list_file} is no text in UTF-8: save it as such'
        ) from error
    except ValueError as error:
        raise UserError(f'{list_file} is not JSON: {error}') from error
    if not isinstance(content, list) or not all(
        isinstance(entry, str) for entry in content
    ):
        raise UserError(
            f'{list_file} must be a JSON list of paths, such as '
            '["a.jpg", "b/c.jpg"]; labels in COCO format are none'
        )
    return content


def _walk(
    folder: str, visited: set[tuple[int, int]], lost: list[str]
) -> Iterator[tuple[str, os.stat_result]]:
    """Path and status of each file; one status is asked for an entry."""
    try:
        identity = _identity(os.stat(folder))
        if identity in visited:
            return
        visited.add(identity)
        with os.scandir(folder) as entries:
            found = sorted(x.path for x in entries if not is_hidden(x.name))
    # The folder of another user, for example.
    except OSError as error:
        warn(
            f'cannot look into the folder {printable(folder)} '
            f'({error.strerror}): what is in it is left out'
        )
        return
    for path in found:
        try:
            status = os.stat(path)
        except OSError:
            lost.append(path)
            continue
        if stat.S_ISDIR(status.st_mode):
            yield from _walk(path, visited, lost)
        elif stat.S_ISREG(status.st_mode):
            yield path, status


def _shards_of(root: str) -> list[str]:
    """The tar files that a root stands for; none if it holds images."""
    if os.path.isfile(root):
        return [root]
    shards = []
    # The walk says if the folder may not be read.
    with suppress(PermissionError), os.scandir(root) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            if is_shard(entry.name) and entry.is_file():
                shards.append(entry.path)
            elif entry.is_dir() or entry.name.lower().endswith(
                IMAGE_EXTENSIONS
            ):
                return []
    return sorted(shards)


def _walk_shards(
    shards: Sequence[str], visited: set[tuple[int, int]]
) -> Iterator[tuple[str, None]]:
    """Path of each file in tar files, each of which is read once."""
    new = []
    for shard in shards:
        identity = _identity(os.stat(shard))
        if identity not in visited:
            visited.add(identity)
            new.append(shard)
    for shard, name in list_members(new):
        if not any(map(is_hidden, name.split('/'))):
            yield f'{shard}/{name}', None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _without_hidden(paths: list[str], list_file: str) -> list[str]:
    # The folder that holds all of them was chosen, even if it is ~/.cache.
    same = os.path.commonprefix([min(paths), max(paths)])  # noqa: RUF071
    common = len(os.path.dirname(same))
    shown = [
        path
        for path in paths
        if not any(map(is_hidden, path[common:].split(os.sep)))
    ]
    if not shown:
        raise FileNotFoundError(
            f'the list file {list_file!r} names only hidden files, for '
            f'example {paths[0]!r}'
        )
    if len(shown) < len(paths):
        warn(
            f'{len(paths) - len(shown)} hidden or system files that '
            f'{printable(list_file)} names are left out'
        )
    return shown


def _existing(paths: list[str], list_file: str, root: str) -> list[str]:
    """Each file once; missing ones stay, as others that are unreadable."""
    files = _Files()
    missing = []
    for path in paths:
        status = os.stat(path) if os.path.isfile(path) else None
        files.add(path, status)
        if status is None and not is_file(path):
            missing.append(path)
    if len(missing) == len(paths):
        raise FileNotFoundError(
            f'none of {len(paths)} entries of {list_file!r} is a file, '
            f'for example {paths[0]!r}: {_misread(paths[0], root, list_file)}'
        )
    if missing:
        warn(
            f'{len(missing)} of {len(paths)} entries of '
            f'{printable(list_file)} are no files, for example '
            f'{printable(missing[0])}: they count as unreadable'
        )
    return files.once()


def _misread(path: str, root: str, list_file: str) -> str:
    """What to do where a path of a list is no file."""
    entry = path.removeprefix(root).lstrip(os.sep) if root else path
    folder, begin = os.path.dirname(list_file), root or os.getcwd()
    if os.path.isfile(os.path.join(folder, entry)):
        return (
            f'the paths are relative to the folder of the list, {folder!r}, '
            f'and are read from {begin!r}: write whole paths'
        )
    return (
        f'paths begin in {begin!r}, and a line is the path of one image, with '
        '/ between folders: no label, comment, quotes or ~'
    )


def _counted(kinds: Counter[str]) -> str:
    """Numbers of files of each extension, the most frequent first."""
    return ', '.join(
        f'{count} {printable(extension) or "without extension"}'
        for extension, count in kinds.most_common(8)
    )


def _advice(kinds: Iterable[str], wanted: Sequence[str]) -> str:
    """What to do with files of these extensions."""
    text = ''
    if _VIDEOS.intersection(kinds):
        text += (
            '. Take frames out of videos first, for example by ffmpeg -i '
            'clip.mp4 -vf fps=1 frames/%06d.jpg'
        )
    if '.tar' in kinds:
        text += (
            '. Tar files are read where no folder and no image lies beside '
            'them: name such a folder, or the files'
        )
    if any(kind in _PACKED for kind in kinds):
        text += f'. Unpack archives{_UNPACK}'
    if any(kind not in (*_VIDEOS, *_PACKED, '.tar') for kind in kinds):
        text += (
            f'. Only {" ".join(wanted)} are taken: convert images of other '
            'kinds to one of these'
        )
    return text


def warn_of_unreadable(problems: Sequence[str]) -> None:
    """Log the first of the images that cannot be read, each with its reason.

    The others are counted.
    """
    for problem in problems[:_NAMED]:
        warn(f'cannot read the image {problem}')
    if len(problems) > _NAMED:
        others = counted(len(problems) - _NAMED, 'other image')
        warn(f'and {others} cannot be read')
