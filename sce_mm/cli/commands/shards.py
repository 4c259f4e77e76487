"""Pack a folder of images into tar files, where it has too many files.

    sce shards DATA OUT
    sce shards DATA OUT --shard-size 500

OUT is a folder of 000000.tar, 000001.tar, ... with the images as they are.
Training reads them there, in the same random order and with the same views as
from the folder: sce train RECIPE --data OUT. Other tar files of images need no
conversion.
"""

import shlex
from collections.abc import Sequence

from ... import register
from ...utils.checks import require_outside
from ..argument_types import output_folder, positive_number
from ..arguments import ArgumentParser, add_images
from ..command_names import as_typed


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = ArgumentParser(__doc__)
    add_images(parser)
    parser.add_argument(
        'out', type=output_folder, help='the folder of tar files, made here'
    )
    parser.add_argument(
        '--shard-size',
        type=positive_number,
        default=1000,
        metavar='MB',
        help='megabytes of images in a tar, 1000 by default',
    )
    args = parser.parse_args(argv)
    require_outside(args.out, args.data)
    register()
    from ...datasets.images.shard_writing import pack_shards
    from ..image_options import image_source

    source, paths = image_source(args.data)
    packed = pack_shards(paths, source, args.out, args.shard_size * 10**6)
    print(
        f'{args.out}: {packed.images} images in {len(packed.shards)} tar '
        f'files, {packed.bytes / 1e6:.1f} MB'
    )
    words = ['--data', str(args.out)]
    print(as_typed(f'sce train RECIPE {shlex.join(words)}'))
