"""Write the images of an npz file as class folders of PNG files.

    python tools/dataset_converters/npz_to_folders.py FILE OUT

FILE holds, for each part such as train and test, PART_x [n, h, w, 3] uint8
RGB and PART_y [n] class numbers, and class_names. OUT gets
PART/CLASS/000000.png, which LabelledImages reads with labels and
UnlabelledImages without.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from sce_mm.utils.progress import track


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('file', type=Path)
    parser.add_argument('out', type=Path)
    return parser.parse_args()


def parts_of(content: np.lib.npyio.NpzFile) -> list[str]:
    """Names of the parts, checked.

    Raises:
        ValueError: The file is laid out in another way.
    """
    parts = [name[:-2] for name in content.files if name.endswith('_x')]
    if not parts or 'class_names' not in content.files:
        raise ValueError(
            'expected arrays PART_x, PART_y and class_names, got '
            f'{", ".join(content.files)}'
        )
    for part in parts:
        images, labels = content[f'{part}_x'], content[f'{part}_y']
        if images.dtype != np.uint8 or images.shape[3:] != (3,):
            raise ValueError(
                f'{part}_x must be [n, h, w, 3] uint8, got '
                f'{list(images.shape)} of {images.dtype}'
            )
        if len(images) != len(labels):
            raise ValueError(
                f'{part} has {len(images)} images but {len(labels)} labels'
            )
        classes = len(content['class_names'])
        if not np.isin(labels, range(classes)).all():
            raise ValueError(
                f'{part}_y must have class numbers from 0 to {classes - 1}'
            )
    return parts


def require_plain_names(names: list[str]) -> None:
    """See that each name is that of one folder, as it becomes one.

    Raises:
        ValueError: One could lead out of OUT.
    """
    for name in names:
        if not name.strip('. ') or {'/', '\\', '\0'} & set(name):
            raise ValueError(
                f'{name!r} cannot be the name of a folder: parts and classes '
                'must have names without / and \\'
            )


def write_part(
    folder: Path, images: np.ndarray, labels: np.ndarray, names: list[str]
) -> None:
    """Write one part and read each file back."""
    pairs = zip(images, labels, strict=True)
    shown = track(pairs, folder.name, len(images))
    for index, (image, label) in enumerate(shown):
        path = folder / names[int(label)] / f'{index:06d}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image[..., ::-1])
        if not np.array_equal(cv2.imread(str(path)), image[..., ::-1]):
            raise OSError(f'{path} does not hold what was written: disk full?')


def main() -> None:
    args = parse_args()
    if args.out.exists() and any(args.out.iterdir()):
        raise FileExistsError(f'{args.out} is not empty: name another folder')
    with np.load(args.file, allow_pickle=False) as content:
        parts = parts_of(content)
        names = [str(name) for name in content['class_names'].astype(str)]
        require_plain_names([*parts, *names])
        for part in parts:
            images, labels = content[f'{part}_x'], content[f'{part}_y']
            write_part(args.out / part, images, labels, names)
            counts = np.bincount(labels, minlength=len(names))
            print(f'{part}: {len(images)} images, {counts.tolist()} a class')


if __name__ == '__main__':
    __starts_light__ = True
    from sce_mm.cli.exit import run_main

    run_main(main)
