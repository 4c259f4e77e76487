"""Three ways to begin besides the beginning, written into a config.

Resume goes on with a run, initialise from takes weights and nothing else, and
continue for makes a finished run longer.
"""

import os
from pathlib import Path

from mmengine.config import Config

from .engine.find_checkpoint import newest_whole_checkpoint
from .engine.hooks.durable_checkpoint_hook import STOPPED
from .engine.run_state import KEY, require_resumable
from .safe_loading import read_resumable

AUTO = 'auto'
_NAMES = ('epoch_{}.pth', 'iter_{}.pth', STOPPED)


def set_resume(cfg: Config, checkpoint: str) -> None:
    """Go on with the run of a checkpoint, or of the newest one there is.

    Raises:
        FileNotFoundError: There is no such file.
    """
    cfg.resume = True
    cfg.load_from = None if checkpoint == AUTO else checkpoint
    if cfg.load_from and not Path(cfg.load_from).is_file():
        raise FileNotFoundError(f'no checkpoint at {cfg.load_from}')


def set_initial_weights(cfg: Config, checkpoint: str) -> None:
    """Begin a new run from weights.

    Raises:
        FileNotFoundError: There is no such file.
    """
    if not Path(checkpoint).is_file():
        raise FileNotFoundError(f'no checkpoint at {checkpoint}')
    hook = dict(type='InitialWeightsHook', checkpoint=checkpoint)
    cfg.merge_from_dict({'default_hooks.initial_weights': hook})


def set_continuation(cfg: Config, epochs: int, checkpoint: str) -> None:
    """Make a finished run longer; given again, finish what was interrupted.

    Args:
        cfg: Its ``train_cfg.max_epochs`` is set.
        epochs: To do beyond those of the finished run.
        checkpoint: Of the finished run, or ``'auto'``.

    Raises:
        FileNotFoundError: There is no checkpoint.
        CheckpointError: It holds no run.
        ValueError: The run is not finished, or cannot be made longer.
    """
    hook = cfg.get('default_hooks', {}).get('checkpoint', {})
    if epochs < 1 or hook.get('type') != 'DurableCheckpointHook':
        raise ValueError(
            '--continue-for takes a positive number of epochs and needs '
            "default_hooks.checkpoint.type='DurableCheckpointHook'; got "
            f'{epochs} and {hook.get("type")!r}'
        )
    path = checkpoint
    if checkpoint == AUTO:
        found = newest_whole_checkpoint(cfg.work_dir, _NAMES)
        if found is None:
            raise FileNotFoundError(
                f'--continue-for: no checkpoint in {cfg.work_dir}; name '
                'another folder with --work-dir or a file with --resume'
            )
        path = str(found)
    content = read_resumable(path)
    require_resumable(content, path)
    if KEY not in content:
        raise ValueError(
            f'{path} was written without DurableCheckpointHook and does not '
            'say how long its run was: begin a new one with --init-from'
        )
    layout, extends = content[KEY]['layout'], content[KEY]['extends']
    planned = layout['max_epochs']
    iterations = content['meta']['iter']
    finished = iterations >= planned * layout['epoch_length']
    if finished:
        extends = planned
    elif extends is None or extends + epochs != planned:
        raise ValueError(
            f'{path} is at iteration {iterations} of '
            f'{planned * layout["epoch_length"]} ({planned} epochs): finish '
            'the run with --resume before you continue it for more epochs'
        )
    cfg.train_cfg.max_epochs = extends + epochs
    hook.extends = extends
    cfg.resume = True
    cfg.load_from = path


def has_checkpoint(cfg: Config) -> bool:
    """Whether the work dir has a whole checkpoint."""
    return newest_whole_checkpoint(cfg.work_dir, _NAMES) is not None


def restarted() -> bool:
    """Whether torchrun started this process anew after a crash."""
    return int(os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')) > 0


def meet_elsewhere() -> None:
    """Let processes that were started again meet at a port of their own.

    torchrun lets them meet at the store of the first start, which still has
    the addresses of the processes that died: who is there first calls those.
    Every 100th port after the first one serves one restart.
    """
    restarts = int(os.environ['TORCHELASTIC_RESTART_COUNT'])
    port = int(os.environ['MASTER_PORT']) + 100 * restarts
    os.environ['MASTER_PORT'] = str(port)
    os.environ['TORCHELASTIC_USE_AGENT_STORE'] = 'False'
