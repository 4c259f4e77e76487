"""Run torchrun without its remarks on errors that a process has explained.

tools/dist_train.sh and tools/dist_test.sh start it with torchrun's options.
"""

import logging
import os
import re
import signal
import socket
import sys

from torch.distributed import DistNetworkError
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

if __name__ == '__main__':
    # Torchrun's own remarks on signals and exit codes.
    logging.disable(logging.ERROR)
    # Slurm signals every process of a job; torchrun would leave its own alone.
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    try:
        main()
    except SignalException:
        sys.exit(1)
    except DistNetworkError as error:
        taken = re.search(r'port: (\d+).*EADDRINUSE', str(error), re.S)
        if not taken:
            raise
        with socket.socket() as other:
            other.bind(('', 0))
            free = other.getsockname()[1]
        sys.exit(
            f'error: port {taken[1]} is in use, perhaps by another training '
            f'on this machine: take another one, for example PORT={free} '
            'before the command, the same on all machines'
        )
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            # What the system does when the memory is used up.
            reason = ', most likely for want of memory' * (name == 'SIGKILL')
            sys.exit(
                f'error: process {rank} was ended by {name}{reason}: use a '
                'smaller batch or fewer workers (--cfg-options '
                'train_dataloader.num_workers=2). --resume goes on from the '
                'last checkpoint, MAX_RESTARTS=3 before the command does so '
                'by itself'
            )
        sys.exit(1)
