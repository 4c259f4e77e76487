"""Look at a folder of images before you train on it for hours.

    sce data path/to/images
    sce data path/to/images --regions 128 --keep good.json

Says how many images there are and how large, which cannot be read, are tiny,
grey, of 16 bits or turned by an EXIF tag, and which are copies of each other.
Then suggests a training: recipe, epochs, batch, queue, views, whether a cache
is worth it, and the command. Every image is decoded once; nothing is changed.
"""

import argparse
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from ... import register
from ...utils.errors import UserError
from ..argument_types import config_name, decoder_number, json_file
from ..arguments import ArgumentParser, add_images, add_region_arguments
from ..command_names import as_typed


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ArgumentParser(__doc__)
    add_images(parser)
    parser.add_argument(
        '--recipe',
        type=config_name,
        metavar='CONFIG',
        help='config to plan with; by default one for a folder of images '
        'that suits the device',
    )
    add_region_arguments(parser)
    parser.add_argument(
        '--hours',
        action='store_true',
        help='train for half a minute to say how long it will take',
    )
    parser.add_argument(
        '--keep',
        type=json_file,
        help='write a list of the images without unreadable and tiny ones and '
        'copies, and plan a training on these',
    )
    parser.add_argument(
        '--json',
        type=json_file,
        help='write all figures and the paths of odd images to this file',
    )
    parser.add_argument(
        '--workers',
        type=decoder_number,
        default=os.cpu_count() or 1,
        help='processes that decode; by default one for each core',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    register()
    from ...analysis.estimate import estimate, estimate_text
    from ...analysis.image_report import look_at, report_json, report_text
    from ...analysis.training_plan import RECIPES, plan_text, plan_training
    from ...config.check import require_pretraining
    from ...config.reading import read_config, require_model
    from ...config.regions import (
        RegionWarning,
        TrainingImages,
        choose_regions,
    )
    from ...datasets.images.file_lists import write_image_list
    from ...utils.durable_files import write_json
    from ..epochs_and_batch import set_epochs
    from ..image_options import (
        image_source,
        read_region_sources,
        set_data,
    )
    from ..machine import choose_device

    device = choose_device(None)
    recipe = args.recipe or RECIPES[device]
    cfg = read_config(recipe)
    require_model(cfg, recipe)
    require_pretraining(cfg, recipe)
    sources = read_region_sources(args)
    _, paths = image_source(args.data)
    set_data(cfg, args.data)
    report = look_at(paths, args.workers)
    if not report.paths:
        path, reason = next(iter(report.unreadable.items()))
        raise UserError(
            f'none of {len(report.unreadable)} images in '
            f'{" ".join(args.data)} can be read, for example {path} ({reason})'
        )
    print(report_text(report))
    images = TrainingImages(report.paths, report.sizes)
    if args.regions is not None:
        for line in choose_regions(
            cfg, args.regions, args.regions_per_image, *sources, images
        ):
            # What an epoch is follows from the batch of the plan.
            if isinstance(line, RegionWarning):
                print(line)
    plan = plan_training(cfg, recipe, report, Path.cwd(), args.keep)
    print(as_typed(f'\nSuggested training\n{plan_text(plan)}'))
    figures = {'report': report_json(report), 'plan': plan.figures()}
    if args.hours:
        set_epochs(cfg, plan.epochs)
        found = estimate(cfg, device, images=plan.samples)
        print(f'\n{estimate_text(found)}')
        figures['estimate'] = found
    data = args.data
    if args.keep:
        kept = map(os.path.abspath, report.kept())
        write_image_list(args.keep, list(kept))
        data = [str(args.keep)]
    words = [recipe, '--data', *data, *_region_words(args), *plan.words]
    print(as_typed(f'\nsce train {shlex.join(words)}'))
    if args.json:
        write_json(args.json, figures)


def _region_words(args: argparse.Namespace) -> list[str]:
    """The options of regions again, for the command that trains."""
    from ...config.regions import regions_text

    words = {
        '--regions': regions_text(args.regions),
        '--regions-per-image': args.regions_per_image,
        '--boxes': args.boxes,
        '--detector': args.detector,
    }
    return [
        str(word)
        for option, value in words.items()
        if value is not None
        for word in (option, value)
    ]
