"""Verify that pretrained weights arrive in the model that a config trains.

    sce verify DET_CONFIG CKPT

Builds the model as the Runner would, initialises it, reads `load_from` if the
config has it, and compares it with CKPT: every tensor, the channel order, mean
and std of the pixels, where the strides are, what is frozen or has a learning
rate of zero and what batch norm does. Exits with 0 if all of it holds and with
1 on any doubt. The config names the file that is loaded; --pretrained names
another, as for sce train. --expected-missing names tensors that are new on
purpose.
"""

import argparse
import copy
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ... import register
from ...utils.errors import UserError
from ...utils.text import listed
from ..argument_types import checkpoint_file, config_name
from ..arguments import ArgumentParser, add_config_arguments
from ..exit import naming

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn

# What is not needed to initialise a model.
UNUSED = (
    *('optim_wrapper', 'param_scheduler', 'custom_hooks', 'default_hooks'),
    *('visualizer', 'vis_backends'),
    *('train_dataloader', 'train_cfg'),
    *('val_dataloader', 'val_cfg', 'val_evaluator'),
    *('test_dataloader', 'test_cfg', 'test_evaluator'),
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ArgumentParser(__doc__)
    parser.add_argument(
        'config',
        type=config_name,
        help='config of a detector, segmentor or classifier',
    )
    parser.add_argument(
        'checkpoint',
        type=checkpoint_file,
        help='backbone file, or the checkpoint it was made of',
    )
    parser.add_argument(
        '--allow-frozen',
        action='store_true',
        help='frozen layers and norms are meant (linear evaluation)',
    )
    parser.add_argument(
        '--allow-unknown',
        action='store_true',
        help='the checkpoint need not say what pixels it expects',
    )
    parser.add_argument(
        '--expected-missing',
        nargs='+',
        default=[],
        metavar='NAME',
        help='prefixes of names of tensors that are new beside those of the '
        'checkpoint: backbone.norm0.; * stands for anything. Those of the '
        "config's VerifyTransferHook count as well",
    )
    parser.add_argument(
        '--pretrained',
        type=checkpoint_file,
        metavar='FILE',
        help='backbone file that the model is to load',
    )
    add_config_arguments(parser)
    return parser.parse_args(argv)


def initialised_model(cfg: 'Config') -> 'nn.Module':
    """The model as it is before its first iteration."""
    from mmengine.logging import MMLogger

    from ...config.parts import find_hook
    from ...transfer.verify.problems import pretrained_path, require_pyramid
    from ..runner import build_runner

    if cfg.get('resume'):
        raise UserError(
            'the config has resume=True: a resumed training takes its '
            'weights from its own checkpoint, not from a backbone file'
        )
    if find_hook(cfg, 'PretrainedBackboneHook'):
        raise UserError(
            'this config loads its backbone through PretrainedBackboneHook, '
            'which compares every tensor itself before the first iteration'
        )
    cfg = copy.deepcopy(cfg)
    for key in UNUSED:
        cfg.pop(key, None)
    # Or mmengine lists what each part does not take of the file.
    cfg.log_level = 'ERROR'
    with tempfile.TemporaryDirectory() as work_dir:
        cfg.work_dir = work_dir
        cfg.experiment_name = Path(work_dir).name
        runner = build_runner(cfg, training=False)
        path = pretrained_path(runner.model)
        if not Path(path).is_file():
            raise FileNotFoundError(
                f'the config loads {path}, which is not there: name the file '
                'with --pretrained FILE, here and for sce train'
            )
        require_pyramid(runner.model, path)
        runner._init_model_weights()
        runner.load_or_resume()
        # The log goes with the folder, and models of this process that are
        # built later may not find its closed file.
        logger = MMLogger.get_current_instance()
        for handler in [*logger.handlers]:
            handler.close()
            logger.removeHandler(handler)
    return runner.model


def not_tried(cfg: 'Config') -> Iterator[str]:
    """What of a config only the training itself can compare."""
    if hooks := cfg.get('custom_hooks'):
        kinds = [getattr(h['type'], '__name__', str(h['type'])) for h in hooks]
        yield (
            f'custom_hooks ({listed(kinds)}) are not run here: the '
            'VerifyTransferHook of a training compares again behind them'
        )
    if 'optimizer' not in (cfg.get('optim_wrapper') or {'optimizer': None}):
        yield (
            'learning rates of several optimisers are compared by the '
            'VerifyTransferHook of a training alone'
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    register()
    from ...checkpoints.mmengine_loading import install_safe_loader
    from ...checkpoints.reading import meta_of
    from ...config.parts import find_hook
    from ...transfer import extract_backbone, read_checkpoint
    from ...transfer.metadata import BEGAN_FROM
    from ...transfer.verify.load_report import expected_missing_of
    from ...transfer.verify.problems import pretrained_path
    from ...transfer.verify.verify import (
        VerifyOptions,
        parameter_groups,
        verify_transfer,
    )
    from ..config_edits import load_config, set_pretrained
    from ..runner import spare_classes

    install_safe_loader(args.trust)
    with naming(args.checkpoint):
        content = read_checkpoint(args.checkpoint, args.trust)
        backbone = extract_backbone(content)
    cfg = load_config(args)
    if cfg.model.get('type') == 'SCE':
        raise UserError(
            f'{args.config} is a pretraining, expected the config of a '
            'detector, segmentor or classifier that begins from the weights; '
            'sce detector and sce segmentor make one'
        )
    if args.pretrained:
        with naming('--pretrained'):
            read_checkpoint(args.pretrained, args.trust)
        set_pretrained(cfg, args.pretrained)
    model = initialised_model(cfg)
    groups = parameter_groups(model, cfg.get('optim_wrapper'))
    hook = find_hook(cfg, 'VerifyTransferHook')
    expected = *expected_missing_of(hook), *args.expected_missing
    options = VerifyOptions(args.allow_frozen, args.allow_unknown, expected)
    result = verify_transfer(model, backbone, cfg, groups, options)
    print(*result.lines(), sep='\n')
    began_from = meta_of(content).get(BEGAN_FROM)
    if result.load.mismatched and began_from:
        sys.exit(
            f'NOT VERIFIED: {args.checkpoint} is of a training that began '
            f'from a backbone file (sha256 {began_from[:16]}) and has changed '
            f'its tensors. To compare that file: sce verify {args.config} '
            f'{pretrained_path(model)}'
        )
    if result.problems:
        lines = ''.join(f'\n  - {problem}' for problem in result.problems)
        sys.exit(f'NOT VERIFIED: {Path(args.config).name}{lines}')
    for note in (*result.notes, *spare_classes(cfg), *not_tried(cfg)):
        print(note)
    total = result.total
    print(
        f'VERIFIED: {total}/{total} tensors of {args.checkpoint} '
        f'(sha256 {backbone.meta["sha256"][:16]}) are in the model of '
        f'{args.config}'
    )
