"""Evaluate a checkpoint of a config.

    sce test CONFIG CKPT --out metrics.json

A config with a test set (detection, linear evaluation) is tested on it; a
pretraining config with an online kNN evaluation runs that evaluation.
"""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ... import register
from ...utils.errors import UserError
from ..argument_types import checkpoint_file, config_name, json_file
from ..arguments import ArgumentParser, add_run_arguments
from ..console import hold_output

if TYPE_CHECKING:
    from mmengine.runner import Runner


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ArgumentParser(__doc__)
    parser.add_argument(
        'config',
        type=config_name,
        help='path of a config, or name of a recipe',
    )
    parser.add_argument(
        'checkpoint', type=checkpoint_file, help='checkpoint file'
    )
    parser.add_argument(
        '--out', type=json_file, help='write the metrics to this json file'
    )
    add_run_arguments(parser)
    return parser.parse_args(argv)


def evaluate(runner: 'Runner') -> dict:
    """Metrics of the checkpoint that ``load_from`` names."""
    from ...engine import OnlineKNNHook

    hooks = [h for h in runner.hooks if isinstance(h, OnlineKNNHook)]
    if runner._test_dataloader is None and not hooks:
        raise UserError(
            'the config has neither a test_dataloader nor an OnlineKNNHook: '
            'there is nothing to evaluate on; sce knn CONFIG CKPT takes '
            'folders of labelled images, --bank and --query'
        )
    checkpoint = load_whole(runner, runner._load_from)
    if runner._test_dataloader is not None:
        require_classes(runner, checkpoint.get('meta') or {})
        return runner.test()
    return {
        name: value
        for hook in hooks
        for name, value in hook.evaluate(runner).items()
    }


def load_whole(runner: 'Runner', path: str) -> dict:
    """Load a checkpoint whose tensors are all those of the model.

    Weights that do not fit must not be measured as if they did. Hooks that
    read checkpoints, such as ``EMAHook``, begin with the test and load it
    again.
    """
    from mmengine.runner import load_checkpoint

    from ...checkpoints.reading import read_checkpoint
    from ...checkpoints.state_dicts import shape_mismatches, state_dict_of
    from ...utils.distributed import unwrapped

    model = unwrapped(runner.model)
    try:
        return load_checkpoint(model, path, map_location='cpu', strict=True)
    except RuntimeError as error:
        found = state_dict_of(read_checkpoint(path))
        expected = model.state_dict()
        if differences := shape_mismatches(expected, found):
            raise UserError(
                f'{path} is no checkpoint of the model of this config:\n'
                f'{differences}'
            ) from error
        raise


def require_classes(runner: 'Runner', meta: dict) -> None:
    """Check that labels mean what they meant in training."""
    from ...utils.text import listed

    trained = (meta.get('dataset_meta') or {}).get('classes')
    dataset = runner.test_dataloader.dataset
    tested = getattr(dataset, 'metainfo', {}).get('classes')
    if trained and tested and list(trained) != list(tested):
        raise UserError(
            f'the checkpoint was trained on the classes {listed(trained)}, '
            f'the test set has {listed(tested)}: test_dataloader.dataset '
            'needs classes=[...] with the names of the former, in their order'
        )


def plain(metrics: dict) -> dict:
    """Metrics without numpy's numbers, which are shown with their type."""
    return {
        name: value.item() if hasattr(value, 'item') else value
        for name, value in metrics.items()
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    hold_output()
    register()
    import mmengine
    from mmengine.dist import is_main_process

    from ...checkpoints.mmengine_loading import install_safe_loader
    from ...utils.durable_files import write_durably
    from ..config_edits import load_config
    from ..refusal import leaving_nothing
    from ..runner import build_runner

    install_safe_loader(args.trust)
    cfg = load_config(args)
    cfg.load_from = args.checkpoint
    cfg.resume = False
    with leaving_nothing(cfg, trains=False) as hook:
        runner = build_runner(cfg, training=False)
        runner.register_hook(hook)
        metrics = evaluate(runner)
    if not is_main_process():
        return
    print(plain(metrics))
    if args.out:
        text = mmengine.dump(metrics, file_format='json')
        write_durably(args.out, text.encode())
