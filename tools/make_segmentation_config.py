"""Adapt a segmentor's config to self-supervised weights.

The same as ``sce segmentor``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.segmentor import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
