"""Pretrain one config under several settings and seeds, and compare.

The same as ``sce sweep``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.sweep import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
