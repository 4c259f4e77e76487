"""Measure the kNN accuracy of frozen features.

The same as ``sce knn``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.knn import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
