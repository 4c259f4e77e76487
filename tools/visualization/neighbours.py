"""Write a page of images beside their nearest neighbours.

The same as ``sce neighbours``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.neighbours import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
