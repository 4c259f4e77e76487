"""Decode a folder of images once, where decoding is too slow.

    sce cache DATA OUT --short-side 256
    sce cache DATA OUT --full-size

OUT is a folder with one memory-mapped file that all processes share. Training
reads it by sce train --data DATA --cache OUT; in a config
dict(type='LoadCachedImage', cache='OUT') takes the place of LoadImage. Shrink
images that are trained on as a whole. Keep the full size where regions are cut
out of them (--regions of sce train): of a large image only those are read. The
file takes 3 bytes per pixel.
"""

import os
import shlex
from collections.abc import Sequence

from ... import register
from ...utils.checks import require_outside
from ...utils.text import counted
from ..argument_types import decoder_number, output_folder, positive_number
from ..arguments import ArgumentParser, add_images
from ..command_names import as_typed
from ..exit import naming_options


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = ArgumentParser(__doc__)
    add_images(parser)
    parser.add_argument('out', type=output_folder, help='the cache, made here')
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        '--short-side',
        type=positive_number,
        default=256,
        help='pixels of the shorter side of larger images, 256 by default',
    )
    size.add_argument(
        '--full-size',
        action='store_true',
        help='keep all images as large as they are',
    )
    parser.add_argument(
        '--max-pixels',
        type=positive_number,
        default=178_956_970,
        metavar='N',
        help='read larger images too, up to N pixels (400000000 for\n'
        '20000 x 20000, at most 1073741824). One takes about 9 N bytes\n'
        'of memory, more with 16 bits per colour',
    )
    parser.add_argument(
        '--workers',
        type=decoder_number,
        default=os.cpu_count(),
        help='processes that decode images; by default one for each core',
    )
    parser.add_argument(
        '--stretch',
        type=float,
        nargs=2,
        metavar=('LOW', 'HIGH'),
        help='levels that become black and white in images of more than 8\n'
        'bits; a training from the cache takes them over',
    )
    args = parser.parse_args(argv)
    require_outside(args.out, args.data)
    register()
    from ...datasets import ImageCache, build_cache
    from ..image_options import image_source, names_list

    source, paths = args.data[0], None
    if len(args.data) > 1 or names_list(args.data):
        source, paths = image_source(args.data)
    with naming_options('stretch', 'max_pixels'):
        unreadable = build_cache(
            source,
            args.out,
            None if args.full_size else args.short_side,
            args.workers,
            args.stretch,
            args.max_pixels,
            paths,
        )
    # The images were found just now.
    cache = ImageCache(args.out, check_source=False)
    megabytes = sum(x.stat().st_size for x in cache.folder.iterdir()) / 1e6
    print(
        f'{args.out}: {counted(len(cache), "image")}, of which {unreadable} '
        f'could not be read, {megabytes:.1f} MB'
    )
    words = ['--data', *args.data, '--cache', str(args.out)]
    print(as_typed(f'sce train RECIPE {shlex.join(words)}'))
