"""Lists with labels for Tiny-ImageNet as it comes out of its archive.

    python tools/dataset_converters/tiny_imagenet.py data/tiny-imagenet-200

Reads wnids.txt, train/CLASS/images/*.JPEG and val/val_annotations.txt; writes
meta/train.txt and meta/val.txt with a path and a label a line, a label being
the place of the class in the sorted wnids.txt. No image is moved. In a config:

    dataset=dict(type='CustomDataset', data_root='data/tiny-imagenet-200',
                 data_prefix='val', ann_file='meta/val.txt', pipeline=...)

Pretraining needs no list: configs/_base_/datasets/tiny_imagenet_sce.py reads
the folder train.
"""

import argparse
from pathlib import Path

from label_lists import find_classes, verify_list, write_list


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('root', type=Path, help='the unpacked archive')
    for what, default in (
        ('classes', 200),
        ('train-per-class', 500),
        ('val-per-class', 50),
    ):
        parser.add_argument(
            f'--{what}',
            type=int,
            default=default,
            metavar='N',
            help=f'expected number, of the whole data set {default}',
        )
    return parser.parse_args()


def read_text(path: Path) -> str:
    """Content of a file of the archive.

    Raises:
        FileNotFoundError: It is not there.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f'no file {path}: expected the unpacked tiny-imagenet-200.zip '
            '(http://cs231n.stanford.edu/tiny-imagenet-200.zip), which has '
            'wnids.txt, train and val'
        )
    return path.read_text()


def read_classes(root: Path, count: int) -> list[str]:
    """Sorted ids of the classes.

    Raises:
        ValueError: Their number is another one.
    """
    ids = sorted(set(read_text(root / 'wnids.txt').split()))
    if len(ids) != count:
        raise ValueError(
            f'{root / "wnids.txt"} has {len(ids)} classes, expected {count}'
        )
    return ids


def read_val(root: Path, ids: list[str]) -> dict[str, list[str]]:
    """Validation images of each class.

    Raises:
        ValueError: A line has another form, or a class that is not known.
    """
    path = root / 'val' / 'val_annotations.txt'
    samples: dict[str, list[str]] = {name: [] for name in ids}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        fields = line.split('\t')
        if len(fields) != 6 or fields[1] not in samples:
            raise ValueError(
                f'{path}, line {number}: expected a file name, a class of '
                f'wnids.txt and four numbers between tabs, got {line!r}'
            )
        samples[fields[1]].append(f'images/{fields[0]}')
    return samples


def main() -> None:
    args = parse_args()
    ids = read_classes(args.root, args.classes)
    train = find_classes(args.root / 'train')
    if sorted(train) != ids:
        odd = sorted(set(train) ^ set(ids))
        raise ValueError(
            f'the folders of {args.root / "train"} are not the classes of '
            f'wnids.txt: {", ".join(odd[:5])}'
        )
    for split, samples, count in (
        ('train', train, args.train_per_class),
        ('val', read_val(args.root, ids), args.val_per_class),
    ):
        path = args.root / 'meta' / f'{split}.txt'
        write_list(path, samples)
        print(verify_list(path, args.root / split, [count] * len(ids)))


if __name__ == '__main__':
    __starts_light__ = True
    from sce_mm.cli.exit import run_main

    run_main(main)
