"""Evaluate a checkpoint of a config.

The same as ``sce test``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.test import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
