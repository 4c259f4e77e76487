"""Write lists with labels for the unpacked archive of Tiny-ImageNet.

    sce tiny-imagenet data/tiny-imagenet-200

Reads wnids.txt, train/CLASS/images/*.JPEG and val/val_annotations.txt; writes
meta/train.txt and meta/val.txt with a path and a label per line, a label being
the place of the class in the sorted wnids.txt. No image is moved. In a config:

    dataset = dict(
        type='CustomDataset',
        data_root='data/tiny-imagenet-200',
        data_prefix='val',
        ann_file='meta/val.txt',
        pipeline=...,
    )

Pretraining needs no list: configs/_base_/datasets/tiny_imagenet_sce.py reads
the folder train.
"""

from collections.abc import Sequence
from pathlib import Path

from ... import register
from ...utils.errors import UserError
from ..arguments import ArgumentParser


def read_lines(path: Path) -> list[str]:
    """Lines of a file of the archive."""
    if not path.is_file():
        raise FileNotFoundError(
            f'no file {path}: expected the unpacked tiny-imagenet-200.zip '
            '(http://cs231n.stanford.edu/tiny-imagenet-200.zip), which has '
            'wnids.txt, train and val'
        )
    return path.read_text().splitlines()


def read_val(root: Path, ids: list[str]) -> dict[str, list[str]]:
    """Validation images of each class."""
    path = root / 'val' / 'val_annotations.txt'
    samples: dict[str, list[str]] = {name: [] for name in ids}
    for number, line in enumerate(read_lines(path), 1):
        fields = line.split('\t')
        if len(fields) != 6 or fields[1] not in samples:
            raise UserError(
                f'{path}, line {number}: expected a file name, a class of '
                f'wnids.txt and four numbers between tabs, got {line!r}'
            )
        if not (root / 'val' / 'images' / fields[0]).is_file():
            raise UserError(
                f'{path}, line {number}: no file val/images/{fields[0]}: '
                'unpack the archive again'
            )
        samples[fields[1]].append(f'images/{fields[0]}')
    return samples


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = ArgumentParser(__doc__)
    parser.add_argument('root', type=Path, help='the unpacked archive')
    root = parser.parse_args(argv).root
    register()
    from ...datasets.labels import class_lists
    from ...utils.durable_files import write_durably

    ids = sorted(filter(None, map(str.strip, read_lines(root / 'wnids.txt'))))
    train = class_lists.find_classes(root / 'train')
    if odd := sorted(set(train) ^ set(ids)):
        raise UserError(
            f'the folders of {root / "train"} are not the classes of '
            f'wnids.txt: {", ".join(odd[:5])}'
        )
    val = read_val(root, ids)
    for split, samples in (('train', train), ('val', val)):
        out = root / 'meta' / f'{split}.txt'
        write_durably(out, class_lists.class_lines(samples).encode())
        print(f'{out}: {class_lists.count_samples(samples)}')
