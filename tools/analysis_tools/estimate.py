"""Estimate what a training needs: memory, the largest batch, and hours.

The same as ``sce estimate``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.estimate import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
