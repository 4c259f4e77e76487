"""Write the backbone of a checkpoint to a file of its own.

The same as ``sce extract``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.extract import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
