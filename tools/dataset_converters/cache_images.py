"""Decode and shrink a folder of images once, where decoding is too slow.

    python tools/dataset_converters/cache_images.py DATA OUT --short-side 256

OUT is a folder with one memory-mapped file that all processes share. A config
uses it by dict(type='LoadCachedImage', cache='OUT') in place of LoadImage;
everything else of the config stays.
"""

import os

# Arguments are read before the imports that take seconds.
__starts_light__ = True

from sce_mm.cli.arguments import ArgumentParser
from sce_mm.cli.exit import run_main


def main() -> None:
    parser = ArgumentParser(__doc__)
    parser.add_argument('data', help='folder of images, with sub-folders')
    parser.add_argument('out', help='the cache, made here')
    parser.add_argument(
        '--short-side',
        type=int,
        default=256,
        help='pixels of the shorter side of larger images',
    )
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count(), help='that decode'
    )
    parser.add_argument(
        '--stretch',
        type=float,
        nargs=2,
        metavar=('LOW', 'HIGH'),
        help='levels that become black and white in images of more than 8\n'
        'bits; LoadCachedImage is given the same: stretch=(LOW, HIGH)',
    )
    args = parser.parse_args()
    from sce_mm.datasets import ImageCache, build_cache

    unreadable = build_cache(
        args.data, args.out, args.short_side, args.workers, args.stretch
    )
    cache = ImageCache(args.out)
    size = sum(x.stat().st_size for x in cache.folder.iterdir()) / 1e6
    print(
        f'{args.out}: {len(cache)} images, of which {unreadable} could not '
        f'be read, {size:.1f} MB'
    )


if __name__ == '__main__':
    run_main(main)
