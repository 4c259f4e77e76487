"""Make a finished run longer (``--continue-for``)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mmengine.config import Config

from ..checkpoints.mmengine_loading import read_resumable
from ..checkpoints.newest import newest_whole_checkpoint
from ..checkpoints.recorded_config import recorded_config
from ..engine.runner.run_state import RUN_STATE, require_resumable
from ..utils.errors import UserError
from ..utils.text import counted
from .config_edits import overridden
from .epochs_and_batch import MAX_EPOCHS, edits_for_epochs, write
from .run_start import (
    AUTO,
    checkpoint_folder,
    checkpoint_names,
    checkpoint_options,
    restarted,
)

_OPTION = '--continue-for'


def set_continuation(
    cfg: Config, epochs: int, checkpoint: str, words: Sequence[str] = ()
) -> str:
    """Make a finished run longer; given again, finish what was interrupted.

    The run is planned at its full length as it was planned at first: its
    schedule of the learning rate, which the checkpoint records, and what else
    goes by epochs in the config keep their shares, as by ``--epochs``.

    Args:
        cfg: Config, which is changed.
        epochs: Epochs beyond those of the finished run.
        checkpoint: That of the finished run, or ``'auto'`` for the newest one
            in the folder of the run.
        words: ``KEY=VALUE`` words that were given besides, which stay.

    Returns:
        What was changed.

    Raises:
        FileNotFoundError: There is no checkpoint.
        CheckpointError: It holds no run.
        UserError: The run is not finished, or cannot be made longer.
    """
    kind = checkpoint_options(cfg).get('type')
    if kind != 'DurableCheckpointHook':
        raise UserError(
            f'{_OPTION} needs '
            "default_hooks.checkpoint.type='DurableCheckpointHook'; got "
            f'{kind!r}'
        )
    path = checkpoint
    if checkpoint == AUTO:
        folder = checkpoint_folder(cfg)
        found = newest_whole_checkpoint(folder, checkpoint_names(cfg))
        if found is None:
            raise FileNotFoundError(
                f'{_OPTION}: no checkpoint in {folder}; name another folder '
                'with --work-dir or a file with --resume'
            )
        path = str(found)
    content = read_resumable(path)
    require_resumable(content, path)
    if RUN_STATE not in content:
        raise UserError(
            f'{path} was written without DurableCheckpointHook and does not '
            'say how long its run was: begin a new one with --init-from'
        )
    state = content[RUN_STATE]
    layout, extends = state['layout'], state['extends']
    planned = layout['max_epochs']
    iterations = content['meta']['iter']
    finished = iterations >= planned * layout['epoch_length']
    ours = extends is not None and extends + epochs == planned
    # Typed again, it goes on for as many epochs once more; started again by
    # torchrun, it does not.
    if finished and not (ours and restarted()):
        extends = planned
    elif not ours:
        raise UserError(
            f'{path} is at iteration {iterations} of '
            f'{planned * layout["epoch_length"]} ({counted(planned, "epoch")})'
            ': finish the run with --resume before you continue it for more '
            'epochs'
        )
    # A number of epochs that was typed is that of the run so far.
    given = overridden(words) - {MAX_EPOCHS}
    full = extends + epochs
    _adopt_schedule(cfg, planned, recorded_config(content), given)
    changed = write(cfg, edits_for_epochs(cfg, full, _OPTION), given)
    checkpoint_options(cfg)['extends'] = extends
    cfg.resume = True
    cfg.load_from = path
    return f'{_OPTION} {epochs}: {changed}'


def _adopt_schedule(
    cfg: Config,
    epochs: int,
    recorded: Mapping[str, Any],
    given: Collection[str],
) -> None:
    """Take the schedule of a run of so many epochs, at the config's length."""
    schedule = recorded.get('param_scheduler')
    typed = any(key.partition('.')[0] == 'param_scheduler' for key in given)
    length = (cfg.get('train_cfg') or {}).get('max_epochs')
    if typed or not schedule or type(length) is not int:
        return
    run = {'train_cfg': {'max_epochs': epochs}, 'param_scheduler': schedule}
    cfg.param_scheduler = edits_for_epochs(
        Config(run), length, _OPTION
    ).cfg.param_scheduler
