r"""Repeat the training step whose loss or gradients were not finite.

sce replay \
    work_dirs/run/not_finite/iter_1234_rank_0.pth

NumericalGuardHook writes the file: the model before the step, the batches of
the step, the random generators. Names the first tensor that goes wrong. With
--float64 it is seen whether precision is the reason. The config, which is
code, is not taken from the file but from the work dir that it lies in.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ... import register
from ..argument_types import checkpoint_file, config_name
from ..arguments import ArgumentParser


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ArgumentParser(__doc__)
    parser.add_argument(
        'file', type=checkpoint_file, help='written by NumericalGuardHook'
    )
    parser.add_argument(
        '--config',
        type=config_name,
        help='config of the run; by default the newest beside it',
    )
    parser.add_argument(
        '--float64', action='store_true', help='compute in double precision'
    )
    return parser.parse_args(argv)


def replay(path: str, float64: bool = False, config: str | None = None) -> str:
    """A sentence on what went wrong in a saved step."""
    from mmengine.registry import DefaultScope
    from mmpretrain.registry import MODELS

    from ...config import read_config
    from ...engine.hooks.numerical_guard_hook import first_non_finite
    from ...transfer import CheckpointError, read_checkpoint
    from ...utils.random_state import set_random_state

    saved = read_checkpoint(path)
    if 'batches' not in saved:
        raise CheckpointError(
            f'{path} holds no batches: expected a file that '
            'NumericalGuardHook wrote under not_finite in a work dir'
        )
    cfg = read_config(config or config_beside(path))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model)
    model.load_state_dict(saved['state_dict'], strict=True)
    set_random_state(saved['random'])
    batches = saved['batches']
    if float64:
        model = model.double()
        batches = [
            {**b, 'inputs': [view.double() for view in b['inputs']]}
            for b in batches
        ]
    return first_non_finite(model, batches)


def config_beside(path: str) -> Path:
    """The newest config of the work dir whose ``not_finite`` holds a file.

    Raises:
        FileNotFoundError: There is none.
    """
    work_dir = Path(path).resolve().parents[1]
    configs = sorted(work_dir.glob('*.py'), key=lambda p: p.stat().st_mtime)
    if not configs:
        raise FileNotFoundError(
            f'no config in {work_dir}: name that of the run with --config'
        )
    return configs[-1]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    register()
    print(replay(args.file, args.float64, args.config))
