"""Which process of a job this is, and how many there are.

A launcher says it by environment variables, before torch is there.
"""

import os

# By what is said to --launcher: environment variables with the number of a
# process, of all of them, and of those on its machine.
LAUNCHERS = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': (
        'OMPI_COMM_WORLD_RANK',
        'OMPI_COMM_WORLD_SIZE',
        'OMPI_COMM_WORLD_LOCAL_RANK',
    ),
}
# The last is that of other MPIs.
_RANKS = (*(rank for rank, *_ in LAUNCHERS.values()), 'PMI_RANK')


def is_first_process() -> bool:
    """Whether this is the process of its job that prints for all."""
    return all(os.environ.get(name, '0') == '0' for name in _RANKS)


def own_launcher() -> str:
    """The launcher of this process, if it is known without ``--launcher``.

    torchrun starts the processes of one training and nothing else. Slurm's
    tasks may well be trainings of their own.
    """
    several = os.environ.get('WORLD_SIZE', '1') != '1'
    known = several and 'TORCHELASTIC_RUN_ID' in os.environ
    return 'pytorch' if known else 'none'


def process_count(launcher: str) -> int:
    """Number of processes that a launcher has started, one without."""
    if launcher not in LAUNCHERS:
        return 1
    return int(os.environ.get(LAUNCHERS[launcher][1], '1'))
