"""Measure linear transfer to eleven data sets, or to your own.

The same as ``sce linear-transfer``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.linear_transfer import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
