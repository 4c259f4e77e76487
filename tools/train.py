"""Train a config: SCE pretraining, linear evaluation or a detector.

python tools/train.py configs/sce/sce_resnet18_1xb64-coslr-200e_folder.py \
    --data path/to/images
"""

import argparse

if __name__ == '__main__':
    # The imports below take seconds.
    import early_stop

    early_stop.listen()

from mmengine.config import Config

from sce_mm.beginnings import (
    AUTO,
    has_checkpoint,
    meet_elsewhere,
    restarted,
    set_continuation,
    set_initial_weights,
    set_resume,
)
from sce_mm.config_edits import (
    remove_hooks,
    set_data,
    set_knn,
    set_pretrained,
)
from sce_mm.device_views import set_device_views
from sce_mm.dry_run import dry_run
from sce_mm.launch import (
    add_common_arguments,
    build_runner,
    load_config,
    require_batches,
    scale_learning_rate,
)
from sce_mm.process_end import run_command
from sce_mm.safe_loading import guard_checkpoints
from sce_mm.signals import TRY_AGAIN, stop_noted


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
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
        choices=['float16', 'bfloat16'],
        help='train in mixed precision (the loss stays in float32): float16, '
        'for GPUs, or bfloat16, for GPUs and CPUs that have it',
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
        'resume in a scratch folder, and print what the training would be',
    )
    add_common_arguments(parser)
    return parser.parse_args()


def apply_arguments(cfg: Config, args: argparse.Namespace) -> None:
    """Write what the command line asks for into the config.

    Raises:
        ValueError: The config has no place for it.
    """
    if args.data:
        set_data(cfg, args.data)
    if args.pretrained:
        set_pretrained(cfg, args.pretrained)
    set_beginning(cfg, args)
    if args.amp == 'float16':
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.amp == 'bfloat16':
        cfg.optim_wrapper.type = 'BF16OptimWrapper'
        # bfloat16 has the range of float32: gradients need no scale.
        cfg.optim_wrapper.pop('loss_scale', None)
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
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        remove_hooks(cfg, 'OnlineKNNHook')


def set_beginning(cfg: Config, args: argparse.Namespace) -> None:
    """Resume, initialise from or continue for, and no two that disagree."""
    if args.init_from and args.continue_for:
        raise ValueError(
            '--init-from begins a new run and --continue-for goes on with a '
            'finished one: give one of them'
        )
    if restarted():
        # What torchrun started again goes on with what it has written.
        args.resume = AUTO if has_checkpoint(cfg) else args.resume
    if args.init_from:
        set_initial_weights(cfg, args.init_from)
    if args.continue_for is not None:
        set_continuation(cfg, args.continue_for, args.resume or AUTO)
    elif args.resume is not None:
        set_resume(cfg, args.resume)


def enable_lr_scaling(cfg: Config) -> None:
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
    if restarted():
        if stop_noted():
            # torchrun takes a stop on another machine for a crash.
            raise SystemExit(TRY_AGAIN)
        meet_elsewhere()
    guard_checkpoints(args.trust)
    cfg = load_config(args)
    apply_arguments(cfg, args)
    if args.dry_run:
        print(dry_run(cfg))
        return
    runner = build_runner(cfg)
    require_batches(runner)
    scale_learning_rate(runner)
    runner.train()


if __name__ == '__main__':
    run_command(main)
