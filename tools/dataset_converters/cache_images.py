"""Decode a folder of images once, where decoding is too slow.

The same as ``sce cache``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.cache import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
