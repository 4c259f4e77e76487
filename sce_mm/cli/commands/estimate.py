"""Estimate what a training needs: memory, the largest batch, and hours.

    sce estimate CONFIG --data path/to/images
    sce estimate CONFIG --images 1281167

Counts the memory of a process without training, then trains for half a minute
in a process of its own, which gives the images per second and, to compare, the
memory that was really taken. Images come from the config's data set if it is
there, or else are noise in memory, and then the time to load them is in no
figure. What a GPU needs besides tensors (context, workspaces of convolutions,
fragmentation) is not counted; a tenth of its memory is left for it.
"""

import argparse
from collections.abc import Sequence

from ... import register
from ..argument_types import json_file, positive_float, positive_number
from ..arguments import (
    ArgumentParser,
    add_config_arguments,
    add_pretraining_arguments,
)
from ..console import hold_output, release_output
from ..exit import naming_keys


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ArgumentParser(__doc__)
    add_pretraining_arguments(parser)
    parser.add_argument(
        '--images',
        type=positive_number,
        help='number of images, where they are not on this machine',
    )
    parser.add_argument(
        '--device',
        choices=['cpu', 'cuda'],
        help='device to try it on; by default a GPU if there is one',
    )
    parser.add_argument(
        '--device-memory',
        type=positive_float,
        metavar='GB',
        help="memory in 2^30 bytes; by default the device's own",
    )
    parser.add_argument(
        '--probe-seconds',
        type=positive_float,
        default=30.0,
        help='seconds of the training that is timed (default: 30)',
    )
    parser.add_argument(
        '--probe-batch',
        type=positive_number,
        help="images of a step of the probe; by default the config's batch",
    )
    parser.add_argument(
        '--json', type=json_file, help='write the figures here'
    )
    add_config_arguments(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    hold_output()
    register()
    from ...analysis.estimate import estimate, estimate_text
    from ...config.check import require_pretraining
    from ...utils.durable_files import write_json
    from ..config_edits import load_config
    from ..image_options import set_images
    from ..machine import choose_device

    cfg = load_config(args)
    require_pretraining(cfg, args.config)
    set_images(cfg, args)
    device = choose_device(args.device)
    keys = {'train_dataloader.dataset': '--data'} if args.data else {}
    with naming_keys(keys):
        report = estimate(
            cfg,
            device,
            args.images,
            args.device_memory,
            args.probe_seconds,
            args.probe_batch,
        )
    release_output()
    print(estimate_text(report))
    if args.json:
        write_json(args.json, report)
