"""Run torchrun without its remarks on errors that a process has explained.

tools/dist_train.sh and tools/dist_test.sh start it with torchrun's options.
"""

import logging
import sys

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

if __name__ == '__main__':
    # Torchrun's own remarks on signals and exit codes.
    logging.disable(logging.ERROR)
    try:
        main()
    except SignalException:
        sys.exit(1)
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        # A signal, say that of a system without memory, says nothing.
        if failure.exitcode < 0:
            raise
        sys.exit(1)
