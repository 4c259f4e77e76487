"""Show where the time of a training step goes, and what to change.

    sce profile CONFIG --data path/to/images

Runs some steps of a config without hooks or logs and times each stage: the
wait for data, the transfer with its normalisation, the forward passes of the
target and of the online network, the loss, the backward pass, the optimiser,
the momentum average and the enqueue. Apart from that it times the transforms
of single images in this process, which says how many images per second the
workers can bring. On a GPU every stage waits for the one before, so that the
sum is longer than a step of a real run.
"""

import argparse
import tempfile
from collections.abc import Sequence

from ... import register
from ..argument_types import json_file, positive_number
from ..arguments import (
    ArgumentParser,
    add_config_arguments,
    add_pretraining_arguments,
)
from ..console import hold_output, release_output


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ArgumentParser(__doc__)
    add_pretraining_arguments(parser)
    parser.add_argument(
        '--steps',
        type=positive_number,
        default=8,
        help='steps to time (default: 8)',
    )
    parser.add_argument(
        '--images',
        type=positive_number,
        default=32,
        help='single images to time (default: 32)',
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
    from ...analysis.step_profile import profile
    from ...config.check import require_pretraining
    from ...utils.durable_files import write_json
    from ..config_edits import load_config
    from ..image_options import set_images
    from ..runner import build_runner
    from ..training_images import require_batches

    with tempfile.TemporaryDirectory() as folder:
        args.work_dir = folder
        cfg = load_config(args)
        require_pretraining(cfg, args.config)
        set_images(cfg, args)
        cfg.log_level = 'ERROR'
        source = '--data' if args.data else 'train_dataloader.dataset'
        runner = build_runner(cfg)
        require_batches(runner, source)
        release_output()
        report = profile(runner, args.steps, args.images)
    total = report['seconds_per_step']
    for name, seconds in report['stages'].items():
        print(f'{name:12s} {1e3 * seconds:9.1f} ms {seconds / total:6.1%}')
    print(
        f'{"step":12s} {1e3 * total:9.1f} ms   '
        f'{report["images_per_second"]:.1f} images/s'
    )
    for name, seconds in report['transforms'].items():
        print(f'{name:12s} {1e3 * seconds:9.2f} ms an image')
    for sentence in report['advice']:
        print(f'- {sentence}')
    if args.json:
        write_json(args.json, report)
