"""Write the features of a folder of images to a table: npz, csv or parquet.

A row is an image: its path within the folder, its class if the images lie in
class folders, and its features. Features are computed and written batch by
batch, so that a table may be larger than the memory.
"""

import csv
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..utils.durable_files import replace_durably, writing
from ..utils.errors import import_optional
from .features import visit_features
from .images import FolderImages
from .samples import collate

# Numbers that are turned into text, or compressed, at a time.
_AT_ONCE = 2**22


class FeatureTable(NamedTuple):
    """Features of images, and what they belong to.

    Attributes:
        features: ``[N, D]``, float32.
        files: Path of each image within its folder.
        labels: Class of each image, an index into ``classes``, or nothing.
        classes: Names of the classes, or nothing.
    """

    features: np.ndarray
    files: list[str]
    labels: list[int]
    classes: list[str]

    def columns(self) -> list[str]:
        """Names of the columns of a flat table."""
        kinds = ['file', *['class'] * bool(self.classes)]
        return [*kinds, *(f'f{i}' for i in range(self.features.shape[1]))]

    def parts(self) -> Iterator['FeatureTable']:
        """The rows, some at a time."""
        count = max(1, _AT_ONCE // self.features.shape[1])
        for start in range(0, len(self.files), count):
            rows = slice(start, start + count)
            yield FeatureTable(
                np.asarray(self.features[rows]),
                self.files[rows],
                self.labels[rows],
                self.classes,
            )


def write_features(
    path: str | Path,
    model: nn.Module,
    images: FolderImages,
    root: str | Path,
    batch_size: int = 64,
    workers: int = 2,
) -> FeatureTable:
    """Compute the features of a folder and write them as a table.

    The rows are in the order of the images; one that cannot be read has
    none, and a warning names it. A reader sees the whole file or none.

    Args:
        path: File to write, with a suffix of ``WRITERS``.
        model: A model with ``backbone`` and ``data_preprocessor``.
        images: Returned by :func:`~sce_mm.evaluation.images.read_folder`.
        root: Folder that the paths in the table begin at.
        batch_size: Images at a time.
        workers: Processes that load images; 0 is this one.

    Returns:
        The table, its features on the disk without a name of their own.

    Raises:
        WriteError: The file cannot be written.
        UserError: No image can be read.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    loader = DataLoader(
        images.dataset, batch_size, num_workers=workers, collate_fn=collate
    )
    found: list[Tensor] = []
    width = 0
    # An image that cannot be read is no error here.
    with writing(path), tempfile.TemporaryFile(dir=path.parent) as file:

        def keep(numbers: Tensor, rows: Tensor, _: Tensor) -> None:
            nonlocal width
            found.append(numbers)
            width = rows.shape[1]
            file.write(rows.numpy().tobytes())

        visit_features(model, loader, keep, labelled=False)
        file.flush()
        numbers = torch.cat(found).tolist()
        table = FeatureTable(
            np.memmap(file, np.float32, 'r', shape=(len(numbers), width)),
            [_relative(images.paths[i], root) for i in numbers],
            [images.labels[i] for i in numbers] if images.labels else [],
            images.classes,
        )
    write = WRITERS[path.suffix.lower()]
    replace_durably(path, lambda out: write(out, table))
    return table


def write_npz(file: IO[bytes], table: FeatureTable) -> None:
    """Arrays ``files`` and ``features``; ``labels`` and ``classes`` if any.

    >>> file = io.BytesIO()
    >>> write_npz(file, FeatureTable(np.eye(2), ['a.png', 'b.png'], [], []))
    >>> np.load(io.BytesIO(file.getvalue())).files
    ['files', 'features']
    """
    arrays: dict[str, Any] = {
        'files': np.array(table.files, str),
        'features': table.features,
    }
    if table.classes:
        arrays['labels'] = np.array(table.labels, np.int64)
        arrays['classes'] = np.array(table.classes, str)
    np.savez(file, **arrays)


def write_csv(file: IO[bytes], table: FeatureTable) -> None:
    """A line for each image; nine digits give back each float32.

    >>> file = io.BytesIO()
    >>> rows = np.array([[0.5, 1 / 3]], np.float32)
    >>> write_csv(file, FeatureTable(rows, ['cat/1.png'], [0], ['cat']))
    >>> print(file.getvalue().decode())
    file,class,f0,f1
    cat/1.png,cat,0.5,0.333333343
    <BLANKLINE>
    """
    text = io.TextIOWrapper(file, 'utf-8', newline='', write_through=True)
    lines = csv.writer(text, lineterminator='\n')
    lines.writerow(table.columns())
    for part in table.parts():
        classes = [[part.classes[label]] for label in part.labels]
        named = zip(
            part.files,
            classes or [[]] * len(part.files),
            part.features.tolist(),
            strict=True,
        )
        for name, kind, row in named:
            lines.writerow([name, *kind, *(f'{x:.9g}' for x in row)])
    # The file is the caller's to close.
    text.detach()


def write_parquet(file: IO[bytes], table: FeatureTable) -> None:
    """The columns of :func:`write_csv`; needs pyarrow."""
    arrow = import_optional('pyarrow', 'pyarrow')
    parquet = import_optional('pyarrow.parquet', 'pyarrow')
    names = table.columns()
    texts = names[: -table.features.shape[1]]
    schema = arrow.schema(
        [(n, arrow.string() if n in texts else arrow.float32()) for n in names]
    )
    with parquet.ParquetWriter(file, schema) as writer:
        for part in table.parts():
            kinds = [part.classes[label] for label in part.labels]
            columns = [part.files, *[kinds] * bool(kinds), *part.features.T]
            writer.write_table(arrow.table(columns, schema=schema))


WRITERS: dict[str, Callable[[IO[bytes], FeatureTable], None]] = {
    '.npz': write_npz,
    '.csv': write_csv,
    '.parquet': write_parquet,
}


def _relative(path: str, root: str | Path) -> str:
    """With slashes, and whatever is no UTF-8 as its codes."""
    name = Path(os.path.relpath(path, root)).as_posix()
    return os.fsencode(name).decode('utf-8', 'backslashreplace')
