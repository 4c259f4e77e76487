r"""Write the features of a folder of images to a table.

    sce features work_dirs/my_run/backbone.pth features.npz --data photos/

BACKBONE is a file of sce extract, the backbone.pth of a run, or any checkpoint
that sce extract reads; no config is needed for the networks that it knows by
their tensors. The suffix of OUT says what is written: .npz, .csv or .parquet
(which needs pyarrow). A row is an image, in the order of its path: the path
within the folder, its class if the images lie in class folders, and the last
feature map of the network, averaged over its places. Tables may be larger than
the memory.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ... import register
from ...utils.errors import import_optional
from ..argument_types import OutputFile
from ..arguments import ArgumentParser, add_trust
from ..converters import add_network, network_of
from ..evaluation_arguments import (
    add_crop,
    add_image_folder,
    add_network_use,
)
from ..exit import naming, naming_options


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ArgumentParser(__doc__)
    parser.add_argument('backbone', type=Path, help='weights of the network')
    parser.add_argument(
        'out',
        type=OutputFile('.npz', '.csv', '.parquet', by_suffix=True),
        help='table to write',
    )
    add_image_folder(parser)
    add_crop(
        parser,
        'what the network is made for: 224, or 32 with a stem for small '
        'images',
    )
    add_network(parser)
    add_network_use(parser)
    add_trust(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    if args.out.suffix.lower() == '.parquet':
        import_optional('pyarrow.parquet', 'pyarrow', 'name an .npz or .csv')
    register()
    from ...evaluation.feature_files import write_features
    from ...evaluation.frozen_backbone import FrozenBackbone
    from ...evaluation.images import crop_pipeline, read_folder, resized_side
    from ...transfer import extract_backbone, read_checkpoint
    from ..image_options import names_list
    from ..machine import choose_device

    device = choose_device(args.device)
    network = network_of(args)
    with naming(str(args.backbone)):
        checkpoint = read_checkpoint(args.backbone, trust=args.trust)
        backbone = extract_backbone(checkpoint, args.branch, network=network)
        model = FrozenBackbone(backbone, network)
    crop = args.crop or model.image_size
    resize = args.resize or resized_side(crop)
    with naming_options('crop', 'resize'):
        # Turned by their EXIF tags, as people see them.
        pipeline = crop_pipeline(resize, crop, apply_orientation=True)
    with naming('--data'):
        images = read_folder(args.data, pipeline, labelled=not args.no_labels)
    table = write_features(
        args.out,
        model.to(device),
        images,
        # Paths of a list begin where the command is called.
        '.' if names_list([args.data]) else args.data,
        args.batch_size,
        args.workers,
    )
    classes = f', {len(table.classes)} classes' if table.classes else ''
    count, width = table.features.shape
    print(
        f'{args.out}: {count} images of {len(images.paths)}, {width} features '
        f'each{classes}; weights {backbone.meta["sha256"][:12]}'
    )
