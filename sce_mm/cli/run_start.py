"""Write into a config how a run starts: ``--resume`` and its relatives.

``--resume`` goes on with a run, and ``--init-from`` takes weights and nothing
else.
"""

import argparse
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor

from ..checkpoints.mmengine_loading import read_resumable
from ..checkpoints.newest import checkpoints_in, newest_whole_checkpoint
from ..config.parts import find_hook
from ..engine.hooks.durable_checkpoint_hook import CHECKPOINT_NAMES
from ..engine.runner.run_state import require_resumable
from ..utils.checks import require_different, require_outside
from ..utils.distributed import decide_on_main
from ..utils.errors import UserError
from .exit import naming

AUTO = 'auto'
_INIT = '--init-from'


def choose_start(cfg: Config, args: argparse.Namespace) -> str:
    """Write how a run starts, by a parsed command line.

    Returns:
        The checkpoint of a run that it goes on with, if it does; ``'auto'``
        for the newest one in the folder of the run.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        UserError: Two options disagree.
    """
    resume = args.resume
    folder = checkpoint_folder(cfg)
    if restarted() and newest_whole_checkpoint(folder, checkpoint_names(cfg)):
        # What torchrun started again goes on with what it has written.
        resume = AUTO
    for option, path in (
        (_INIT, args.init_from),
        ('--resume', resume),
    ):
        if path in (None, AUTO) or Path(path).is_file():
            continue
        if Path(path).is_dir():
            hint = ', or --resume alone and --work-dir' * (option != _INIT)
            raise UserError(
                f'{option}: {path} is a folder: name a checkpoint in it{hint}'
            )
        raise FileNotFoundError(f'{option}: no checkpoint at {path}')
    if resume not in (None, AUTO):
        # Before data and model are built, which the run does first.
        with naming('--resume'), naming(resume):
            require_resumable(read_resumable(resume), resume)
    if args.init_from:
        if args.continue_for is not None:
            raise UserError(
                '--init-from begins a new run and --continue-for goes on with '
                'a finished one: give one of them'
            )
        _require_whole_start(cfg)
        hook = dict(type='InitialWeightsHook', checkpoint=args.init_from)
        cfg.merge_from_dict({'default_hooks.initial_weights': hook})
    if resume is not None:
        cfg.resume = True
        cfg.load_from = None if resume == AUTO else resume
    return resume or AUTO


def may_go_on(args: argparse.Namespace) -> bool:
    """Whether a command line asks to go on with a run, if there is one."""
    return args.resume is not None or args.continue_for is not None


def _require_whole_start(cfg: Config) -> None:
    """Check that nothing but ``--init-from`` gives a model its weights.

    Raises:
        UserError: The config takes a backbone in another way.
    """
    if cfg.get('default_scope') in ('mmdet', 'mmseg'):
        raise UserError(
            '--init-from is for pretrainings and classifiers. A detector or '
            'segmentor takes a backbone by --pretrained, in a config of sce '
            'detector or sce segmentor, and a whole model by --cfg-options '
            'load_from=FILE'
        )
    if find_hook(cfg, 'PretrainedBackboneHook'):
        raise UserError(
            'the config takes its backbone by --pretrained, and --init-from '
            'would load over it: give --pretrained alone'
        )


def refuse_overwriting(cfg: Config) -> None:
    """Check that a new run does not write over another one.

    Raises:
        UserError: The folder has checkpoints of a run that this one does not
            go on with.
    """
    folder = checkpoint_folder(cfg)
    found = checkpoints_in(folder, checkpoint_names(cfg))
    source = cfg.get('load_from') if cfg.get('resume') else None
    # Without a file --resume takes the newest one of the folder.
    if not found or (cfg.get('resume') and source is None):
        return
    run = f'{folder} holds a run, at {found[0].name}'
    if source is None:
        raise UserError(
            f'{run}, and a new one would write over it: --resume to go on '
            'with it, or another --work-dir'
        )
    if Path(source).resolve().parent != folder.resolve():
        raise UserError(
            f'{run}, and {source} is of another one: --resume without a file '
            'to go on with the one that is there, or another --work-dir'
        )


def refuse_data_folder(cfg: Config, data: Sequence[str]) -> None:
    """Check that a run does not write among the images of ``--data``.

    Raises:
        FileExistsError: Its folder is one of theirs.
        UserError: It lies in one, and what it holds would count as images.
    """
    folders = [Path(name).expanduser() for name in data]
    for place in (Path(cfg.work_dir), checkpoint_folder(cfg)):
        named = [('--data', folder) for folder in folders]
        require_different(place, '--work-dir', named)
        require_outside(place, folders, '--work-dir')


def goes_on(cfg: Config) -> bool:
    """Whether a run resumes, and there is something to resume from."""
    return bool(cfg.get('resume')) and bool(
        cfg.get('load_from')
        or checkpoints_in(checkpoint_folder(cfg), checkpoint_names(cfg))
    )


def require_space(runner: Runner) -> None:
    """Refuse a training whose disk has no space for its first checkpoint.

    Raises:
        UserError: The weights alone would not fit.
    """
    options = checkpoint_options(runner.cfg)
    # mmengine's own hook may write to a remote place.
    if not options or '://' in str(options.get('out_dir')):
        return
    folder = checkpoint_folder(runner.cfg).absolute()
    there = next(p for p in (folder, *folder.parents) if p.is_dir())
    weights = runner.model.state_dict().values()
    needed = sum(x.nbytes for x in weights if isinstance(x, Tensor))
    free = decide_on_main(lambda: shutil.disk_usage(there).free)
    if free < needed:
        raise UserError(
            f'{folder}: {free / 2**20:.3g} MiB are free, and the weights in '
            f'a checkpoint take {needed / 2**20:.3g} MiB: free space, or name '
            'a folder on another disk by --work-dir'
        )


def checkpoint_folder(cfg: Config) -> Path:
    """Where the checkpoints of a run go."""
    out_dir = checkpoint_options(cfg).get('out_dir')
    if out_dir is None or out_dir == cfg.work_dir:
        return Path(cfg.work_dir)
    return Path(out_dir) / Path(cfg.work_dir).name


def checkpoint_options(cfg: Config) -> dict:
    """What the config says of checkpoints; empty without any."""
    hook = (cfg.get('default_hooks') or {}).get('checkpoint')
    return hook if isinstance(hook, dict) else {}


def checkpoint_names(cfg: Config) -> list[str]:
    """Names that checkpoints of a run have, with ``{}`` for a number."""
    own = checkpoint_options(cfg).get('filename_tmpl')
    return [*CHECKPOINT_NAMES, *([own] if isinstance(own, str) else [])]


def restarted() -> bool:
    """Whether torchrun started this process again after a crash."""
    return int(os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')) > 0


def use_free_port() -> None:
    """Let processes that were started again use a port of their own.

    torchrun lets them meet at the store of the first start, which still has
    the addresses of the processes that died. Every 100th port after the first
    one serves one restart.
    """
    restarts = int(os.environ['TORCHELASTIC_RESTART_COUNT'])
    port = int(os.environ['MASTER_PORT']) + 100 * restarts
    os.environ['MASTER_PORT'] = str(port)
    os.environ['TORCHELASTIC_USE_AGENT_STORE'] = 'False'
