"""Adapt a detector's config to self-supervised weights.

The same as ``sce detector``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.detector import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
