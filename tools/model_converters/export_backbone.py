"""Export the backbone of a checkpoint to another library.

The same as ``sce export``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.export import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
