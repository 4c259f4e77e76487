"""Train a config: SCE pretraining, linear evaluation or a detector.

python tools/train.py configs/sce/sce_resnet18_1xb64-coslr-200e_folder.py \
    --data path/to/images
"""

import argparse
from typing import TYPE_CHECKING

# Arguments are read before the imports that take seconds.
__starts_light__ = True

if __name__ == '__main__':
    import early_stop

    early_stop.listen()

import sce_mm
from sce_mm.cli.arguments import ArgumentParser, add_common_arguments
from sce_mm.cli.exit import run_command
from sce_mm.cli.held_output import hold_output

if TYPE_CHECKING:
    from mmengine.config import Config


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--data',
        nargs='+',
        metavar='DIR',
        help="folder(s) of images to train on, instead of the config's",
    )
    parser.add_argument(
        '--pretrained',
        metavar='FILE',
        help='pretrained weights to start from: a detector takes a backbone '
        'file of extract_backbone.py, a classifier any checkpoint that the '
        'transfer reader knows',
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CKPT',
        help='go on with the run of this checkpoint; without a path, of the '
        'newest one in the work dir, if there is any',
    )
    parser.add_argument(
        '--init-from',
        metavar='CKPT',
        help='begin a new run from these weights: a whole model, or a '
        'backbone of any format that extract_backbone.py knows',
    )
    parser.add_argument(
        '--continue-for',
        type=int,
        metavar='EPOCHS',
        help='go on for more epochs than the finished run had (of the work '
        'dir, or of --resume CKPT); all schedules become those of the longer '
        'run',
    )
    parser.add_argument(
        '--amp',
        nargs='?',
        const='float16',
        choices=['float16', 'bfloat16', 'none'],
        help='train in mixed precision (the loss stays in float32): float16, '
        'for GPUs, or bfloat16, for GPUs and CPUs that have it; none for '
        'float32, whatever the recipe has',
    )
    parser.add_argument(
        '--device-views',
        action='store_true',
        help='workers decode images and draw the views, the device of the '
        'model makes them',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate from the batch size of the recipe to '
        'the real one (processes x batch x accumulation)',
    )
    parser.add_argument(
        '--knn',
        nargs=2,
        metavar=('BANK', 'QUERY'),
        help='measure the features during pretraining: kNN accuracy on the '
        'images of QUERY by those of BANK, two folders of class folders',
    )
    parser.add_argument(
        '--no-validate', action='store_true', help='train without evaluation'
    )
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='build everything, make two steps and an evaluation, save and '
        'resume in a scratch folder, time steps for half a minute, and print '
        'what the training would be',
    )
    add_common_arguments(parser)
    return parser.parse_args()


def apply_arguments(cfg: 'Config', args: argparse.Namespace) -> None:
    """Write what the command line asks for into the config.

    Raises:
        ValueError: The config has no place for it.
    """
    from sce_mm.cli.config_edits import (
        set_data,
        set_device_views,
        set_knn,
        set_precision,
        set_pretrained,
        without_evaluation,
    )

    if args.data:
        set_data(cfg, args.data)
    if args.pretrained:
        set_pretrained(cfg, args.pretrained)
    set_beginning(cfg, args)
    if args.amp:
        set_precision(cfg, args.amp)
    if args.device_views:
        set_device_views(cfg)
    if args.auto_scale_lr:
        enable_lr_scaling(cfg)
    if args.knn:
        if cfg.get('val_dataloader'):
            raise ValueError(
                '--knn is for pretraining; this config has a validation of '
                'its own'
            )
        set_knn(cfg, *args.knn)
    if args.no_validate:
        without_evaluation(cfg)


def set_beginning(cfg: 'Config', args: argparse.Namespace) -> None:
    """Resume, initialise from or continue for, and no two that disagree."""
    from sce_mm.cli import resume as beginnings

    if args.init_from and args.continue_for is not None:
        raise ValueError(
            '--init-from begins a new run and --continue-for goes on with a '
            'finished one: give one of them'
        )
    if beginnings.restarted() and beginnings.has_checkpoint(cfg):
        # What torchrun started again goes on with what it has written.
        args.resume = beginnings.AUTO
    if args.init_from:
        beginnings.set_initial_weights(cfg, args.init_from)
    if args.continue_for is not None:
        checkpoint = args.resume or beginnings.AUTO
        beginnings.set_continuation(cfg, args.continue_for, checkpoint)
    elif args.resume is not None:
        beginnings.set_resume(cfg, args.resume)


def enable_lr_scaling(cfg: 'Config') -> None:
    """Ask for the rate to be scaled.

    Raises:
        ValueError: The config does not say from which batch.
    """
    if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
        raise ValueError(
            '--auto-scale-lr needs the batch size that the learning rate '
            'belongs to: add auto_scale_lr = dict(base_batch_size=...) to '
            'the config'
        )
    cfg.auto_scale_lr.enable = True


def main() -> None:
    args = parse_args()
    hold_output()
    sce_mm.register()
    from sce_mm.checkpoints.mmengine_loading import guard_checkpoints
    from sce_mm.cli.dry_run import dry_run
    from sce_mm.cli.resume import meet_elsewhere, refuse_overwriting, restarted
    from sce_mm.cli.runner import (
        build_runner,
        load_config,
        require_batches,
        scale_learning_rate,
    )
    from sce_mm.utils.signals import TRY_AGAIN, was_preempted

    if restarted():
        if was_preempted():
            # torchrun takes a stop on another machine for a crash.
            raise SystemExit(TRY_AGAIN)
        meet_elsewhere()
    guard_checkpoints(args.trust)
    cfg = load_config(args)
    apply_arguments(cfg, args)
    source = '--data' if args.data else 'train_dataloader.dataset'
    if args.dry_run:
        print(dry_run(cfg, source))
        return
    refuse_overwriting(cfg)
    runner = build_runner(cfg)
    require_batches(runner, source)
    scale_learning_rate(runner)
    runner.train()


if __name__ == '__main__':
    run_command(main)
