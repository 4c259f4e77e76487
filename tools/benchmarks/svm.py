"""Measure linear SVMs on frozen features of VOC 2007, full and low-shot.

The same as ``sce svm``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.svm import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
