"""Train a config: SCE pretraining, linear evaluation or a detector.

    sce train sce_resnet18_1xb64-coslr-200e_folder --data path/to/images

sce recipes lists the recipes that are named like this. --epochs and
--batch-size change what follows from them too, and say how. What a run writes
goes to the work dir: checkpoints, a log and, of a pretraining, backbone.pth
for detectors and the other commands.
"""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ... import register
from ...utils.errors import UserError
from ...utils.processes import is_first_process
from ..argument_types import (
    checkpoint_file,
    epochs_number,
    positive_number,
)
from ..arguments import (
    ArgumentParser,
    add_knn,
    add_pretraining_arguments,
    add_run_arguments,
)
from ..console import hold_output
from ..exit import naming_keys
from ..log_services import NONE, SERVICES, log_to

if TYPE_CHECKING:
    from mmengine.config import Config


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ArgumentParser(__doc__)
    add_pretraining_arguments(parser)
    parser.add_argument(
        '--epochs',
        type=epochs_number,
        metavar='N',
        help='train for so many epochs; warm-up, schedule and intervals of '
        'checkpoints keep their shares. auto: as many as the steps that the '
        'recipe needs take with these images. By default as in the config',
    )
    parser.add_argument(
        '--batch-size',
        type=positive_number,
        metavar='N',
        help='images that each process takes at a time; the learning rate '
        'follows, and a queue that is too short for them. By default as in '
        'the config',
    )
    parser.add_argument(
        '--pretrained',
        type=checkpoint_file,
        metavar='FILE',
        help='file of pretrained weights: a detector takes a backbone file of '
        'sce extract, a classifier any checkpoint that sce extract '
        'reads',
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CKPT',
        help='go on with the run of this checkpoint; without a path, with '
        'that of the newest one in the work dir, if there is any',
    )
    parser.add_argument(
        '--init-from',
        type=checkpoint_file,
        metavar='CKPT',
        help='begin a new run from the weights of a whole model, or of a '
        'backbone of any format that sce extract reads',
    )
    parser.add_argument(
        '--continue-for',
        type=positive_number,
        metavar='EPOCHS',
        help='train for more epochs than the finished run in the work dir, or '
        'of --resume CKPT; all schedules become those of the longer run',
    )
    parser.add_argument(
        '--amp',
        nargs='?',
        const='float16',
        choices=['float16', 'bfloat16', 'none'],
        help='train in mixed precision (the loss stays in float32): float16, '
        'which --amp alone means, for GPUs; bfloat16 for GPUs and CPUs that '
        'have it; none for float32, whatever the recipe has',
    )
    parser.add_argument(
        '--device-views',
        action='store_true',
        help='make the views on the device of the model; workers only decode '
        'images and draw the random numbers',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate from the batch size of the recipe to '
        'the real one (processes x batch x accumulation)',
    )
    add_knn(parser)
    parser.add_argument(
        '--no-validate', action='store_true', help='train without evaluation'
    )
    parser.add_argument(
        '--log-to',
        nargs='+',
        choices=[*SERVICES, NONE],
        metavar='SERVICE',
        help='where the numbers of the run go besides the files in its work '
        f'dir: {", ".join(SERVICES)}, several of them, or none; the recipes '
        'have tensorboard',
    )
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='try everything in a scratch folder for half a minute and print '
        'what the training would be',
    )
    add_run_arguments(parser)
    return parser.parse_args(argv)


def apply_arguments(cfg: 'Config', args: argparse.Namespace) -> list[str]:
    """Write what the command line asks for into the config.

    Returned is what was changed besides what was asked for.
    """
    from ..config_edits import set_pretrained
    from ..continuation import set_continuation
    from ..epochs_and_batch import apply_epochs, fit_queues, set_batch_size
    from ..image_options import set_images
    from ..learning_rate import set_rate_batch
    from ..run_start import choose_start, may_go_on

    batch, words = args.batch_size, args.cfg_options
    followed = set_rate_batch(cfg, args)
    # Before what asks for the steps of an epoch: regions and --epochs auto.
    if batch:
        followed.append(set_batch_size(cfg, batch, words, may_go_on(args)))
    set_images(cfg, args)
    # A queue holds no more keys than there are images.
    if batch:
        followed += fit_queues(cfg, batch, words)
    if args.pretrained:
        set_pretrained(cfg, args.pretrained)
    followed += apply_epochs(cfg, args)
    checkpoint = choose_start(cfg, args)
    if epochs := args.continue_for:
        followed.append(set_continuation(cfg, epochs, checkpoint, words))
    _apply_switches(cfg, args)
    return followed


def _apply_switches(cfg: 'Config', args: argparse.Namespace) -> None:
    """Write what changes neither the images nor the length of a run."""
    from ...config.machine import set_precision
    from ..config_edits import (
        set_device_views,
        set_knn,
        without_evaluation,
    )
    from ..learning_rate import enable_lr_scaling

    if args.amp:
        set_precision(cfg, args.amp)
    if args.device_views:
        set_device_views(cfg)
    if args.auto_scale_lr:
        enable_lr_scaling(cfg)
    if args.knn:
        if cfg.get('val_dataloader'):
            raise UserError(
                '--knn is for pretraining; this config has a validation of '
                'its own'
            )
        bank, query = args.knn
        names = '--knn BANK', '--knn QUERY'
        set_knn(cfg, bank, query, options=names)
    if args.no_validate:
        without_evaluation(cfg)
    if args.log_to:
        log_to(cfg, args.log_to)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    hold_output()
    register()
    from ...checkpoints.mmengine_loading import install_safe_loader
    from ...utils.signals import TRY_AGAIN, was_preempted
    from ..config_edits import load_config
    from ..dry_run import dry_run
    from ..epochs_and_batch import smaller_batch, typed_keys
    from ..hand_over import RecordHook, train_and_hand_over
    from ..learning_rate import scale_learning_rate
    from ..refusal import leaving_nothing
    from ..run_start import (
        goes_on,
        refuse_data_folder,
        refuse_overwriting,
        require_space,
        restarted,
        use_free_port,
    )
    from ..runner import build_runner
    from ..training_images import require_batches

    if restarted():
        if was_preempted():
            # torchrun takes a stop on another machine for a crash.
            raise SystemExit(TRY_AGAIN)
        use_free_port()
    install_safe_loader(args.trust)
    cfg = load_config(args)
    followed = apply_arguments(cfg, args)
    if is_first_process():
        print(*followed, sep='\n', end='\n' * bool(followed))
    source = '--data' if args.data else 'train_dataloader.dataset'
    if args.dry_run and goes_on(cfg):
        raise UserError(
            '--dry-run plans a new run, and this one would go on from a '
            'checkpoint: leave out --dry-run, or --resume and --continue-for'
        )
    if args.data:
        refuse_data_folder(cfg, args.data)
    refuse_overwriting(cfg)
    if args.dry_run:
        with naming_keys(typed_keys(args)):
            plan = dry_run(cfg, source, smaller_batch(cfg, args))
        if is_first_process():
            print(plan)
        return
    with leaving_nothing(cfg) as hook:
        # A run that had the folder until now may have left checkpoints.
        refuse_overwriting(cfg)
        with naming_keys(typed_keys(args)):
            runner = build_runner(cfg)
            require_batches(runner, source, smaller_batch(cfg, args))
            require_space(runner)
        runner.register_hook(hook)
        scale_learning_rate(runner)
        runner.logger.info(f'log, machine and config: {runner.log_dir}')
        runner.register_hook(RecordHook(argv))
        train_and_hand_over(runner)
