r"""Compare detectors or segmentors from SCE and random initialisation.

    sce compare OUT --images IMAGES \
        --train train.json --train-images TRAIN \
        --val val.json --val-images VAL \
        --detector mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py \
        --pretraining sce_resnet50_1xb128-amp-coslr-200e_folder

or, with folders of masks in place of the files of labels,

    sce compare OUT --images IMAGES \
        --train train_masks --train-images TRAIN \
        --val val_masks --val-images VAL --classes background cell \
        --segmentor mmseg::fcn/fcn_r50-d8_4xb4-20k_voc12aug-512x512.py \
        --pretraining sce_resnet50_1xb128-amp-coslr-200e_folder

Pretrains SCE on the unlabelled images, trains the detector or segmentor from
it, from random initialisation and from other weights if given, with all labels
and with parts of them, each with the same data, schedule and seeds, and writes
OUT/report.html with one table. Validation images among the unlabelled ones,
and near copies of them, are found and left out of the pretraining. The same
command goes on where it was interrupted.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ... import register
from ...utils.errors import UserError
from ...utils.option_values import not_overrides
from ...utils.recipes import find_config, find_source
from ..argument_types import (
    checkpoint_file,
    existing_folder,
    number_above,
    output_folder,
    percentage,
    positive_number,
    region_sides,
    seed_number,
)
from ..arguments import ArgumentParser, Overrides, add_region_size
from ..console import hold_output, release_output


def absolute_checkpoint(text: str) -> Path:
    """Type of an option that takes a checkpoint; its path is absolute."""
    return Path(checkpoint_file(text)).resolve()


def config_file(text: str) -> Path:
    """Type of an option that takes a config: a path or a recipe."""
    try:
        return find_config(text).resolve()
    except (FileNotFoundError, UserError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def absolute_folder(text: str) -> Path:
    """Type of an option that takes a folder; its path is absolute."""
    return Path(existing_folder(text)).resolve()


def suffix(text: str) -> str:
    """Type of an option that takes the end of the names of files."""
    if '/' in text:
        raise argparse.ArgumentTypeError(
            f'expected the end of a name, such as .png; got {text!r}'
        )
    return text


def iterations(text: str) -> int | str:
    """Type of an option that takes a length, or that of all labels."""
    return text if text == 'all' else positive_number(text)


# Words of a variant: its config, its overrides, and its --regions.
VariantWords = tuple[Path | None, list[str], tuple[int, int] | str | None]
# Begins the word of a variant that stands for its --regions.
REGIONS = 'regions='


class Named(argparse.Action):
    """Collects what each name stands for; ``const`` reads its words."""

    def __call__(  # noqa: D102
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        found = getattr(namespace, self.dest)
        name, *words = values
        if name in found:
            parser.error(f'{option_string} {name}: the name is given twice')
        try:
            value = self.const(words)
        except argparse.ArgumentTypeError as error:
            parser.error(f'{option_string} {name}: {error}')
        setattr(namespace, self.dest, found | {name: value})


def weights(words: list[str]) -> Path:
    """Read what stands behind the name of weights: a file."""
    return absolute_checkpoint(words[0])


def variant(words: list[str]) -> VariantWords:
    """Read the words of a variant, which stand behind its name."""
    config = None
    if words and '=' not in words[0]:
        config, words = config_file(words[0]), words[1:]
    wrong = not_overrides(words)
    if wrong or not (config or words):
        raise argparse.ArgumentTypeError(
            'expected a name, then a config or KEY=VALUE words or both, the '
            f'config first; got {" ".join(wrong) or "the name alone"}'
        )
    regions = None
    for word in words:
        if word.startswith(REGIONS):
            regions = region_sides(word.removeprefix(REGIONS))
    words = [word for word in words if not word.startswith(REGIONS)]
    return config, words, regions


def add_data(parser: ArgumentParser) -> None:
    """Add options that name images and labels."""
    data = parser.add_argument_group('data')
    data.add_argument(
        '--images', type=absolute_folder, nargs='+', required=True,
        metavar='DIR',
        help='folders of unlabelled images',
    )  # fmt: skip
    for part, what in (('train', 'training'), ('val', 'validation')):
        data.add_argument(
            f'--{part}', type=Path, required=True, metavar='LABELS',
            help=f'{what} labels: a file in COCO format, or a folder of masks',
        )  # fmt: skip
        data.add_argument(
            f'--{part}-images', type=absolute_folder, required=True,
            metavar='DIR', help=f'folder of the {what} images',
        )  # fmt: skip
    masks = parser.add_argument_group('masks, with --segmentor')
    masks.add_argument(
        '--classes', nargs='+', metavar='NAME',
        help='names of the classes, in the order of their numbers in the '
        'masks',
    )  # fmt: skip
    masks.add_argument(
        '--reduce-zero-label', action='store_true',
        help='0 does not count, and 1 is the first of the classes',
    )  # fmt: skip
    for option, what, end in (
        ('--image-suffix', 'images', '.jpg'),
        ('--mask-suffix', 'masks', '.png'),
    ):
        masks.add_argument(
            option, type=suffix, default=end, metavar='END',
            help=f'end of the names of {what}; {end} by default',
        )  # fmt: skip


def add_compared(parser: ArgumentParser) -> None:
    """Add options that say which trainings there are."""
    compared = parser.add_argument_group('what is compared')
    predictor = compared.add_mutually_exclusive_group(required=True)
    for option, package in (('--detector', 'mmdet'), ('--segmentor', 'mmseg')):
        predictor.add_argument(
            option, metavar='CONFIG',
            help=f'config of a {option[2:]}: a path, or the name of a recipe '
            f'or of one of {package}',
        )  # fmt: skip
    compared.add_argument(
        '--pretraining', type=config_file, required=True, metavar='CONFIG',
        help='config of SCE: a path, or the name of a recipe',
    )  # fmt: skip
    compared.add_argument(
        '--weights', nargs=2, action=Named, const=weights, default={},
        metavar=('NAME', 'FILE'),
        help='another backbone file to start from, such as ImageNet weights '
        'by sce extract; repeatable',
    )  # fmt: skip
    compared.add_argument(
        '--variant', nargs='+', action=Named, const=variant, default={},
        dest='variants',
        metavar=('NAME', 'WORD'),
        help='another pretraining: its config, by default that of '
        '--pretraining, and overrides on top of --pretraining-options, such '
        'as --variant InfoNCE model.head.loss.coeff=1; regions=none or '
        'regions=SIDE takes the place of --regions; repeatable',
    )  # fmt: skip
    add_region_size(
        compared, 'the boxes of --train at the scale of --detector'
    )
    compared.add_argument(
        '--longer-random', type=number_above(1, 1000), metavar='FACTOR',
        help='also train from random initialisation with a schedule that is '
        'so many times as long',
    )  # fmt: skip
    compared.add_argument(
        '--init-from', type=absolute_checkpoint, metavar='FILE',
        help='pretrain SCE a second time, starting from this checkpoint',
    )  # fmt: skip
    compared.add_argument(
        '--percent', type=percentage, nargs='+', default=[100.0],
        help='parts of the labels, such as 10 30 100; 100 by default',
    )  # fmt: skip
    compared.add_argument(
        '--seeds', type=seed_number, nargs='+', default=[0],
        help='seeds of the repetitions; 0 by default',
    )  # fmt: skip
    compared.add_argument(
        '--pretraining-seeds', type=seed_number, nargs='+', metavar='SEED',
        help='pretrain with each of these seeds; the trainings take them in '
        'turn. By default one pretraining, with the seed of its config',
    )  # fmt: skip


def add_how(parser: ArgumentParser) -> None:
    """Add options of the trainings themselves."""
    how = parser.add_argument_group('how')
    for part, what_of in (
        ('pretraining', 'the pretraining'),
        ('detector', 'every training of the detector'),
        ('segmentor', 'every training of the segmentor'),
    ):
        how.add_argument(
            f'--{part}-options', nargs='+', default=[], metavar='KEY=VALUE',
            action=Overrides, help=f'overrides of {what_of}',
        )  # fmt: skip
    how.add_argument(
        '--min-iterations', type=iterations, default=0, metavar='N',
        help='give trainings more epochs where their part of the labels has '
        'so few images that they would train for fewer iterations; all for '
        'as many as with all labels',
    )  # fmt: skip
    how.add_argument(
        '--jobs', type=positive_number, default=1,
        help='trainings at the same time; 1 by default',
    )  # fmt: skip
    how.add_argument(
        '--threads', type=positive_number,
        help='processor threads of a training; by default the cores shared '
        'among the jobs',
    )  # fmt: skip


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ArgumentParser(__doc__)
    parser.add_argument(
        'out', type=output_folder, help='folder of everything made'
    )
    add_data(parser)
    add_compared(parser)
    add_how(parser)
    args = parser.parse_args(argv)
    args.threads = args.threads or max(1, (os.cpu_count() or 1) // args.jobs)
    seeds = args.pretraining_seeds = args.pretraining_seeds and list(
        dict.fromkeys(args.pretraining_seeds)
    )
    args.seeds = list(dict.fromkeys(args.seeds))
    regions = [args.regions, *(last for *_, last in args.variants.values())]
    if args.regions_per_image and not any(regions):
        parser.error(
            '--regions-per-image goes with --regions, for example '
            '--regions 128'
        )
    if seeds and len(seeds) > len(args.seeds):
        parser.error(
            f'--pretraining-seeds: {len(seeds)} pretrainings need as many '
            f'--seeds or more, got {len(args.seeds)}'
        )
    task, other = 'detector', 'segmentor'
    if args.segmentor:
        task, other = other, task
    if vars(args)[f'{other}_options']:
        parser.error(f'--{other}-options goes with --{other}')
    check_labels(parser, args, 'auto' in regions)
    for name in ('out', 'train', 'val'):
        setattr(args, name, vars(args)[name].resolve())
    args.percent = list(dict.fromkeys(args.percent))
    args.predictor_options = vars(args)[f'{task}_options']
    try:
        args.predictor = find_source(vars(args)[task])
    except (FileNotFoundError, UserError) as error:
        parser.error(f'--{task}: {error}')
    return args


def check_labels(
    parser: ArgumentParser, args: argparse.Namespace, auto: bool
) -> None:
    """Refuse options that do not go with the labels; ``auto`` is a size."""
    if args.detector:
        for name in ('train', 'val'):
            if (path := vars(args)[name]).is_dir():
                parser.error(
                    f'--{name}: {path} is a folder, and --detector takes '
                    'labels in COCO format, one file; folders of masks go '
                    'with --segmentor'
                )
            if not path.is_file():
                parser.error(f'--{name}: there is no file {path}')
        if args.classes or args.reduce_zero_label:
            parser.error(
                '--classes and --reduce-zero-label go with --segmentor: '
                'labels in COCO format name their classes'
            )
        return
    if len(set(args.classes or ())) < max(2, len(args.classes or ())):
        parser.error(
            '--segmentor takes --classes: two names or more, each another '
            'one, in the order of their numbers in the masks; got '
            f'{" ".join(args.classes or ["none"])}'
        )
    if auto:
        parser.error(
            '--regions auto goes by boxes, which masks do not have: give a '
            'side, such as --regions 128'
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    hold_output()
    register()
    from ...comparison import Settings, Task, Variant, compare

    args.variants = {n: Variant(*words) for n, words in args.variants.items()}
    # Each field is the option of its name.
    settings = Settings(
        **{field.name: vars(args)[field.name] for field in fields(Settings)}
    )
    task: Task
    if args.detector:
        from ...detection.comparison import Detection

        task = Detection(settings)
    else:
        from ...segmentation.comparison import Segmentation

        task = Segmentation(
            settings,
            args.classes,
            args.image_suffix,
            args.mask_suffix,
            args.reduce_zero_label,
        )
    compare(settings, task, release_output)
