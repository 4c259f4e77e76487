"""Lists of images with a label each: written, read back and counted."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sce_mm.datasets.images.file_lists import find_images, is_hidden
from sce_mm.utils.progress import track


def find_classes(root: Path) -> dict[str, list[str]]:
    """Paths below each class folder, relative to ``root``, all sorted.

    Folders without images are no classes; they are named on the console.

    Raises:
        FileNotFoundError: There is no such folder, or no class in it.
    """
    found: dict[str, list[str]] = {}
    beside = []
    for path in find_images([str(root)]):
        file = Path(path).relative_to(root).as_posix()
        name, _, rest = file.partition('/')
        if rest:
            found.setdefault(name, []).append(file)
        else:
            beside.append(file)
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
    if empty := [
        folder.name
        for folder in sorted(root.iterdir())
        if folder.is_dir()
        and not is_hidden(folder.name)
        and folder.name not in found
    ]:
        print(
            f'left out: {len(empty)} folders without images, which get no '
            f'label: {", ".join(empty[:5])}{", ..." if empty[5:] else ""}'
        )
    return {name: sorted(found[name]) for name in sorted(found)}


def write_list(
    path: Path, samples: Mapping[str, Sequence[str]], bare: bool = False
) -> None:
    """Write ``file label`` lines; a label is the place of the sorted class.

    Args:
        path: The list.
        samples: Files of each class.
        bare: Leave the labels out.

    Raises:
        ValueError: A name cannot stand in such a list.
    """
    for file in (file for files in samples.values() for file in files):
        # What reads the list takes it as lines of UTF-8.
        if file.splitlines() != [file] or not _is_utf8(file):
            raise ValueError(
                f'{file!r} has a line break in its name, or bytes that are '
                'not UTF-8: rename it, as a list of lines cannot hold it'
            )
    lines = [
        file if bare else f'{file} {label}'
        for label, name in enumerate(sorted(samples))
        for file in samples[name]
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(lines) + '\n')


def _is_utf8(name: str) -> bool:
    return name == name.encode(errors='replace').decode()


def verify_list(
    path: Path, root: Path, counts: Iterable[int], bare: bool = False
) -> str:
    """Read a list back and compare it with the files and the counts.

    Args:
        path: The list.
        root: What its paths are relative to.
        counts: Expected number of images of each label.
        bare: There are no labels; only the sum is compared.

    Returns:
        What was verified, for people.

    Raises:
        ValueError: The list is not what it should be.
    """
    counts = list(counts)
    lines = path.read_text().splitlines()
    files = lines if bare else [line.rsplit(' ', 1)[0] for line in lines]
    if len(set(files)) < len(files):
        twice = [file for file, n in Counter(files).items() if n > 1]
        raise ValueError(f'{path} has {twice[0]} twice')
    missing = [
        file
        for file in track(files, 'Files of the list')
        if not (root / file).is_file()
    ]
    if missing:
        raise ValueError(
            f'{len(missing)} of {len(files)} files of {path} do not exist, '
            f'for example {root / missing[0]}'
        )
    if len(files) != sum(counts):
        raise ValueError(
            f'{path} has {len(files)} images, expected {sum(counts)}'
        )
    if not bare:
        seen = Counter(int(line.rsplit(' ', 1)[1]) for line in lines)
        for label, count in enumerate(counts):
            if seen[label] != count:
                raise ValueError(
                    f'{path} has {seen[label]} images of class {label}, '
                    f'expected {count}'
                )
    low, high = min(counts), max(counts)
    each = f'{low}' if low == high else f'{low} to {high}'
    return (
        f'{path}: {len(files)} images of {len(counts)} classes, {each} each; '
        'all files exist'
    )
