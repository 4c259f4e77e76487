"""Repeat the training step whose loss or gradients were not finite.

The same as ``sce replay``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.replay import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
