"""Images per second from a folder, tar files and a cache; index of tar files.

    python tools/dev/speed/shards.py

The same JPEG files lie in a folder, in tar files and, decoded, in a cache, all
of them in memory, and are read in one random order by the data set that a
training has, on one core. The index is that of a tar of small files.
"""

import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import torch
from measuring import command, interleaved, machine, table_text
from mmengine.registry import init_default_scope
from PIL import Image
from sklearn.datasets import load_sample_images

from sce_mm.cli.exit import run_main
from sce_mm.datasets import SampleIndex, UnlabelledImages, build_cache
from sce_mm.datasets.images.file_lists import find_images
from sce_mm.datasets.images.shard_writing import pack_shards
from sce_mm.datasets.images.shards import read_file, shard_index

VIEWS = [dict(augmentation='strong', size=224)] * 2
_PAGE = os.sysconf('SC_PAGE_SIZE')


def measure(images: int, members: int, repeats: int) -> dict[str, Any]:
    """Figures of reading, decoding and views, and of the index."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    init_default_scope('mmpretrain')
    report: dict[str, Any] = {'machine': machine()}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        folder, shards, cache = (root / x for x in ('folder', 'tars', 'cache'))
        write_photographs(folder, images)
        pack_shards(find_images([str(folder)]), str(folder), shards, 10**7)
        build_cache(str(folder), cache, None)
        load = dict(type='LoadImage')
        views = dict(type='SCEViews', views=VIEWS)
        cached = dict(type='LoadCachedImage', cache=str(cache))
        candidates: dict[str, dict[str, Callable[[int], object]]] = {
            'bytes': {
                'folder': reader(folder),
                'tar files': reader(shards),
            },
            'decoded': {
                'folder': dataset(folder, load),
                'tar files': dataset(shards, load),
                'cache': dataset(folder, cached),
            },
            'two views': {
                'folder': dataset(folder, load, views),
                'tar files': dataset(shards, load, views),
                'cache': dataset(folder, cached, views),
            },
        }
        order = random.Random(0).sample(range(images), images)
        report['images_per_second'] = {
            what: {
                source: images / seconds
                for source, seconds in interleaved(
                    {
                        source: partial(read_all, read, order)
                        for source, read in sources.items()
                    },
                    repeats,
                ).items()
            }
            for what, sources in candidates.items()
        }
        report['index'] = measure_index(root, members, repeats)
    return report


def reader(root: Path) -> Callable[[int], bytes]:
    paths = find_images([str(root)])
    return lambda index: read_file(paths[index])


def dataset(root: Path, *pipeline: dict) -> Callable[[int], object]:
    images = UnlabelledImages(str(root), pipeline=list(pipeline))
    return lambda index: images[SampleIndex(index, 0, 0)]


def read_all(read: Callable[[int], object], order: list[int]) -> None:
    for index in order:
        read(index)


def write_photographs(folder: Path, count: int) -> None:
    """Different parts of scikit-learn's photographs, 500 x 375 pixels."""
    folder.mkdir()
    draws = random.Random(0)
    photos = [Image.fromarray(rgb) for rgb in load_sample_images().images]
    for number in range(count):
        photo = photos[number % len(photos)]
        left, top = draws.randrange(140), draws.randrange(52)
        part = photo.crop((left, top, left + 500, top + 375))
        part.save(folder / f'{number:06}.jpg', quality=90)


def measure_index(root: Path, members: int, repeats: int) -> dict[str, float]:
    """Processor seconds to make and to load an index; bytes that it takes."""
    small, shards = root / 'small', root / 'small-tars'
    small.mkdir()
    for number in range(members):
        (small / f'n01440764_{number:06}.JPEG').write_bytes(b'1' * 1000)
    pack_shards(find_images([str(small)]), str(small), shards)
    (file,) = shards.glob('.*')
    seconds: list[list[float]] = [[], []]
    for _ in range(repeats):
        file.unlink()
        # It is made, and then there.
        for times in seconds:
            start = time.process_time()
            find_images([str(shards)])
            times.append(time.process_time() - start)
    made, loaded = map(statistics.median, seconds)
    images = UnlabelledImages(str(shards), pipeline=[], max_unreadable=0)
    index = shard_index(f'{shards}/000000.tar')
    paths = find_images([str(shards)])
    read_all(lambda n: read_file(paths[n]), list(range(members)))
    before = resident_bytes()
    read_all(lambda n: read_file(paths[n]), list(range(members)))
    return {
        'members': members,
        'processor_seconds_to_make': made,
        'processor_seconds_to_load': loaded,
        'bytes_a_file_of_the_index': (
            (index.names.nbytes + index.places.nbytes) / members
        ),
        'bytes_a_file_of_the_data_set': (
            (images.data_bytes.nbytes + images.data_address.nbytes) / members
        ),
        'bytes_more_after_an_epoch': resident_bytes() - before,
    }


def resident_bytes() -> int:
    return int(Path('/proc/self/statm').read_text().split()[1]) * _PAGE


def table(report: dict[str, Any]) -> str:
    """Images per second of each source, and the figures of the index."""
    rows = [
        f'| {what} | {source} | {rate:.0f} | {rate / rates["folder"]:.2f} |'
        for what, rates in report['images_per_second'].items()
        for source, rate in rates.items()
    ]
    header = '| read | from | images / s | over the folder |'
    figures = '\n'.join(
        f'{name.replace("_", " ")}: {value:.4g}'
        for name, value in report['index'].items()
    )
    return f'{table_text(report["machine"], header, rows)}\n\n{figures}'


if __name__ == '__main__':
    sizes = dict(images=300, members=10_000, repeats=7)
    run_main(partial(command, __doc__, measure, table, **sizes))
