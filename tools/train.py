"""Train a config: SCE pretraining, linear evaluation or a detector.

The same as ``sce train``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.utils import early_stop

if __name__ == '__main__':
    early_stop.listen()

from sce_mm.cli.commands.train import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
