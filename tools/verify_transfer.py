"""Prove that pretrained weights arrive in the model that a config trains.

    python tools/verify_transfer.py DET_CONFIG CKPT

Builds the model as the Runner would, initialises it, reads `load_from` if the
config has it, and compares it with CKPT: every tensor, the channel order, mean
and std of the pixels, where the strides are, what is frozen or has a learning
rate of zero and what batch norm does. Exits with 0 if all of it holds and with
1 on any doubt. The config names the file that is loaded; --pretrained names
another, as for train.py.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger
from torch import Tensor, nn

from sce_mm.checkpoints.mmengine_loading import guard_checkpoints
from sce_mm.cli.arguments import ArgumentParser, add_common_arguments
from sce_mm.cli.config_edits import load_config, set_pretrained
from sce_mm.cli.exit import run_main
from sce_mm.cli.runner import build_runner
from sce_mm.config.parts import find_hook
from sce_mm.transfer import extract_backbone, read_checkpoint
from sce_mm.transfer.verify.loaded_tensors import parts_that_load
from sce_mm.transfer.verify.problems import (
    other_weights,
    parameter_groups,
    pipeline_problems,
    rate_problems,
)
from sce_mm.transfer.verify.report import report
from sce_mm.transfer.verify.verify import Rules, misfits, path_of, verify

# What is not needed to initialise a model.
UNUSED = ('custom_hooks', 'visualizer', 'vis_backends', 'default_hooks')
LOOPS = ('train', 'val', 'test')


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument('config', help='config of a detector or classifier')
    parser.add_argument(
        'checkpoint', help='backbone file, or the checkpoint it was made of'
    )
    parser.add_argument(
        '--branch', choices=['online', 'momentum'], default='online'
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
        '--pretrained',
        metavar='FILE',
        help='backbone file that the model is to load',
    )
    add_common_arguments(parser)
    return parser.parse_args()


def read_config(args: argparse.Namespace) -> Config:
    """The config, with the options of the command line.

    Raises:
        ValueError: It is no config.
        FileNotFoundError: There is none.
    """
    try:
        return load_config(args)
    except (ValueError, OSError):
        raise
    except Exception as error:  # of whatever is written in it
        raise ValueError(
            f'{args.config} cannot be read: {type(error).__name__}: {error}'
        ) from error


def initialised_model(cfg: Config) -> nn.Module:
    """The model as it is before its first iteration.

    Raises:
        FileNotFoundError: The file that it loads is not there.
        ValueError: The config resumes, or loads no backbone.
    """
    if cfg.get('resume'):
        raise ValueError(
            'the config has resume=True: a resumed training takes its '
            'weights from its own checkpoint, not from a backbone file'
        )
    if find_hook(cfg, 'PretrainedBackboneHook'):
        raise ValueError(
            'this config loads its backbone through PretrainedBackboneHook, '
            'which compares every tensor itself before the first iteration'
        )
    for loop in LOOPS:
        for key in (f'{loop}_dataloader', f'{loop}_cfg', f'{loop}_evaluator'):
            cfg.pop(key, None)
    for key in ('optim_wrapper', 'param_scheduler', *UNUSED):
        cfg.pop(key, None)
    # Or mmengine lists what each part does not take of the file.
    cfg.log_level = 'ERROR'
    with tempfile.TemporaryDirectory() as work_dir:
        cfg.work_dir = work_dir
        cfg.experiment_name = Path(work_dir).name
        runner = build_runner(cfg, training=False)
        path = path_of(runner.model)
        if not Path(path).is_file():
            raise FileNotFoundError(
                f'the config loads {path}, which is not there: name the file '
                'with --pretrained FILE, here and for tools/train.py'
            )
        runner._init_model_weights()
        runner.load_or_resume()
        # Their files go with the folder.
        for handler in MMLogger.get_current_instance().handlers:
            handler.close()
    return runner.model


def compare(
    model: nn.Module,
    weights: Mapping[str, Tensor],
    meta: Mapping[str, Any],
    rules: Rules,
    optim_wrapper: Mapping[str, Any] | None,
) -> list[str]:
    """Print what was compared; what is wrong."""
    path = path_of(model)
    verdict = verify(model, path, weights, meta, rules)
    print(report(model, weights, meta, verdict))
    problems = list(verdict.problems)
    if not rules.allow_frozen:
        groups = parameter_groups(model, optim_wrapper)
        problems += rate_problems(parts_that_load(model, path), groups)
    difference = misfits(model, path, weights, meta, rules)
    return [difference, *problems] if difference else problems


def main() -> None:
    args = parse_args()
    rules = Rules(args.allow_frozen, args.allow_unknown)
    guard_checkpoints(args.trust)
    try:
        checkpoint = read_checkpoint(args.checkpoint, trust=args.trust)
        weights, meta = extract_backbone(checkpoint, args.branch)
        cfg = read_config(args)
        if args.pretrained:
            set_pretrained(cfg, args.pretrained)
        loads, optim = cfg.get('load_from'), cfg.get('optim_wrapper')
        problems = list(pipeline_problems(cfg))
        model = initialised_model(cfg)
        others = list(other_weights(cfg, path_of(model)))
        problems += compare(model, weights, meta, rules, optim)
    except (ValueError, OSError) as error:
        sys.exit(f'NOT VERIFIED: {error}')
    if problems and loads:
        problems.append(f'load_from={loads!r} is read after the backbone file')
    if problems:
        lines = ''.join(f'\n  - {problem}' for problem in problems)
        sys.exit(f'NOT VERIFIED: {Path(args.config).name}{lines}')
    for line in others:
        print(line)
    print(
        f'VERIFIED: {len(weights)}/{len(weights)} tensors of '
        f'{args.checkpoint} are in the model of {args.config}'
    )


if __name__ == '__main__':
    run_main(main)
