"""Write lists of images and their labels from folders of classes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...utils.errors import UserError
from ...utils.text import listed
from ..images.file_lists import find_images, is_hidden


def find_classes(root: Path) -> dict[str, list[str]]:
    """Paths below each class folder, relative to ``root``, all sorted.

    Folders without images are no classes; they are named on the console.
    """
    found: dict[str, list[str]] = {}
    for path in find_images([str(root)]):
        file = Path(path).relative_to(root).as_posix()
        name, _, rest = file.partition('/')
        found.setdefault(name if rest else '', []).append(file)
    beside = found.pop('', [])
    if not found:
        raise FileNotFoundError(
            f'all {len(beside)} images of {root} lie in no folder: it must '
            'have one for each class'
        )
    if beside:
        print(
            f'left out: {len(beside)} images in no class folder, for example '
            f'{beside[0]}'
        )
    folders = {x.name for x in root.iterdir() if x.is_dir()} - set(found)
    empty = [x for x in sorted(folders) if not is_hidden(x)]
    if empty:
        print(
            f'left out: {len(empty)} folders without images, which get no '
            f'label: {listed(empty)}'
        )
    return {name: sorted(found[name]) for name in sorted(found)}


def class_lines(
    samples: Mapping[str, Sequence[str]], bare: bool = False
) -> str:
    """Lines ``file label`` (``file`` if bare) of the files of each class.

    A label is the place of the sorted class. A name that cannot stand in such
    a list is refused.
    """
    lines = []
    for label, name in enumerate(sorted(samples)):
        for file in samples[name]:
            # Readers take the list as lines of UTF-8.
            utf8 = file == file.encode(errors='replace').decode()
            if file.splitlines() != [file] or not utf8:
                raise UserError(
                    f'{file!r} has a line break in its name, or bytes that '
                    'are not UTF-8: rename it, as a list of lines cannot '
                    'hold it'
                )
            lines.append((file if bare else f'{file} {label}') + '\n')
    return ''.join(lines)


def count_samples(samples: Mapping[str, Sequence[str]]) -> str:
    """Numbers of images and classes, as text.

    >>> count_samples({'cat': ['a.jpg', 'b.jpg'], 'dog': ['c.jpg']})
    '3 images of 2 classes, 1 to 2 each'
    """
    counts = [len(files) for files in samples.values()]
    each = ' to '.join(map(str, sorted({min(counts), max(counts)})))
    return f'{sum(counts)} images of {len(counts)} classes, {each} each'
