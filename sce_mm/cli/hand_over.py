"""What a run leaves to its user: the command, the weights, the next steps."""

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..config.parts import find_hook
from ..engine import BackboneFileHook, WarmupCosineLR
from ..utils.durable_files import WriteError
from ..utils.errors import is_full
from ..utils.text import counted
from .command_names import as_typed, from_here
from .exit import OUTPUT

COMMANDS = 'commands.txt'


class RecordHook(Hook):
    """Writes config and command into the work dir when a training begins.

    Behind all hooks that may refuse it, so that both stay those of what has
    trained there.

    Args:
        argv: Words behind the name of the command, None for those of this
            process.
    """

    priority = 'LOWEST'

    def __init__(self, argv: Sequence[str] | None) -> None:
        self.argv = argv

    def before_train(self, runner: Runner) -> None:
        """Write them; of a run that was finished before, say so instead."""
        if runner.iter < runner.max_iters:
            Runner.dump_config(runner)
            _record_command(runner, self.argv)
        else:
            runner.logger.info(_nothing_left(runner))


def _nothing_left(runner: Runner) -> str:
    """Says that a run is complete, where its weights are and what next."""
    weights = [
        f'its backbone is {from_here(hook.path)}; '
        for hook in runner.hooks
        if isinstance(hook, BackboneFileHook) and hook.path.is_file()
    ]
    evaluated = 'sce test evaluates it; ' * bool(runner.cfg.get('val_cfg'))
    # Others cannot be extended.
    extends = all(
        isinstance(scheduler, WarmupCosineLR)
        for scheduler in runner.param_schedulers or []
    )
    longer = '--continue-for EPOCHS makes it longer' * extends
    return (
        f'{from_here(Path(runner.work_dir))}: the run is complete, all '
        f'{counted(runner.max_iters, "iteration")} are done; '
        f'{"".join(weights)}{evaluated}{longer}'
    ).removesuffix('; ')


@master_only
def _record_command(runner: Runner, argv: Sequence[str] | None) -> None:
    """Add the command that was typed to ``commands.txt`` in the work dir.

    Each start of a run adds two lines: when, on how many processes and in
    which folder, and the command, which can be typed again.
    """
    program, *words = sys.argv if argv is None else ['sce train', *argv]
    if program.endswith('.py'):
        program = f'python {shlex.quote(program)}'
    when = time.strftime('%Y-%m-%d %H:%M:%S')
    with (Path(runner.work_dir) / COMMANDS).open('a') as file:
        file.write(
            f'# {when}, {counted(runner.world_size, "process", "processes")}, '
            f'in {Path.cwd()}\n'
            f'{program} {shlex.join(words)}\n'
        )


def train_and_hand_over(runner: Runner) -> None:
    """Train; at the end or a stop, say where the weights are and what next.

    Raises:
        SystemExit: A signal has stopped the training, which has saved.
        WriteError: The disk is full.
    """
    try:
        runner.train()
    except SystemExit:
        _print_next_steps(runner)
        raise
    except OSError as error:
        # Checkpoints say it themselves; a log does not.
        said = isinstance(error, WriteError) or error.filename == OUTPUT
        if said or not is_full(error):
            raise
        raise WriteError(
            f'cannot write to {runner.work_dir}: {error.strerror}. Free '
            'space, then --resume goes on with the newest checkpoint',
            error.errno,
        ) from error
    _print_next_steps(runner)


@master_only
def _print_next_steps(runner: Runner) -> None:
    for hook in runner.hooks:
        if isinstance(hook, BackboneFileHook) and hook.written:
            print(as_typed(next_steps(runner, hook)), flush=True)


def next_steps(runner: Runner, hook: BackboneFileHook) -> str:
    """The backbone file of a run, and commands that take it.

    Args:
        runner: Runner that has trained.
        hook: Its hook that has written the file.
    """
    assert hook.written is not None
    cfg, meta = runner.cfg, hook.written.meta
    path = from_here(hook.path)
    weights = shlex.quote(str(path))
    config = shlex.quote(str(path.parent / Path(cfg.filename or '').name))
    labels = (
        '' if find_hook(cfg, 'OnlineKNNHook') else ' --bank DIR --query DIR'
    )
    # No command knows the tensors of other networks.
    known = hook.written.known_architecture is not None
    network = '' if known else f' --network {config}'
    lines = {
        'detector': f'sce detector MMDET_CONFIG {weights} detector.py',
        'kNN': f'sce knn {config} {weights}{labels}',
        'features': (
            f'sce features {weights} features.npz --data DIR{network}'
        ),
    }
    pyramid = ' and its pyramid' if hook.written.pyramid else ''
    return (
        f'\nbackbone: {path}\n  {meta["arch"]}{pyramid} after epoch '
        f'{meta["epochs"]}, sha256 of its tensors {meta["sha256"][:12]}\n'
        'what to do with it:'
        + ''.join(f'\n  {name:9} {line}' for name, line in lines.items())
    )
