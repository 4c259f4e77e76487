"""Check that the machine has what ``--launcher`` and ``--device`` ask for.

A launcher tells each process by environment variables which of how many it is
and where they meet. Of wrong ones torch says little, or waits for processes
that never come.
"""

import os

import torch

from ..utils.errors import UserError
from ..utils.processes import LAUNCHERS
from ..utils.text import counted

_HOW = (
    'use tools/dist_train.sh or torchrun, tools/slurm_train.sh or srun, or '
    'leave --launcher out'
)
# What else each launcher sets.
_OTHERS = {
    'pytorch': ('MASTER_ADDR', 'MASTER_PORT'),
    'slurm': ('SLURM_NODELIST',),
    'mpi': ('MASTER_ADDR',),
}


def choose_device(device: str | None) -> str:
    """The device of ``--device``; without one a GPU if there is one.

    Raises:
        UserError: There is no such GPU.
    """
    if device is None:
        return 'cuda' if torch.cuda.is_available() else 'cpu'
    if device == 'cpu':
        return device
    if not torch.cuda.is_available():
        raise UserError(f'--device {device}: there is no GPU here, use cpu')
    gpus = torch.cuda.device_count()
    if int(device.partition(':')[2] or 0) >= gpus:
        raise UserError(
            f'--device {device}: this machine has {counted(gpus, "GPU")}, '
            'counted from 0'
        )
    return device


def require_launched(launcher: str) -> None:
    """Refuse environment variables that no group of processes can meet by.

    Args:
        launcher: What ``--launcher`` names; none asks for nothing.

    Raises:
        UserError: A variable is missing or no number, there are fewer
            processes than the number of this one says, or this machine has
            fewer GPUs than processes.
    """
    if launcher == 'none':
        return
    option = f'--launcher {launcher}'
    number, count, place = LAUNCHERS[launcher]
    for name in (number, count, *_OTHERS[launcher]):
        if name not in os.environ:
            raise UserError(
                f'{option}: this process was not started by it ({name} is '
                f'not set): {_HOW}'
            )
    numbers = {
        name: os.environ.get(name, '0') for name in (number, count, place)
    }
    for name, text in numbers.items():
        if not text.isdecimal():
            raise UserError(f'{option}: {name}={text} is no number: {_HOW}')
    rank, world, local = map(int, numbers.values())
    if rank >= world:
        raise UserError(
            f'{option}: {number}={rank} is none of {count}={world} processes, '
            f'which count from 0: {_HOW}'
        )
    gpus = torch.cuda.device_count()
    if torch.cuda.is_available() and local >= gpus:
        raise UserError(
            f'{option}: process {local} of this machine has no GPU, there '
            f'are {gpus}: start as many processes as there are GPUs '
            '(CUDA_VISIBLE_DEVICES hides some)'
        )
