"""Verify that pretrained weights arrive in the model that a config trains.

The same as ``sce verify``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.verify import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
