"""Train a config: SCE pretraining, linear evaluation or a detector.

The same as ``sce train``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.utils import signals

if __name__ == '__main__':
    signals.end_early()

from sce_mm.cli.commands.train import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
