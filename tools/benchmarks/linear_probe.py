"""Measure a linear classifier on frozen features.

The same as ``sce linear-probe``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.linear_probe import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
