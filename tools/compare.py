"""Compare detectors or segmentors from SCE and random initialisation.

The same as ``sce compare``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.compare import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
