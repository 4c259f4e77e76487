"""Show where the time of a training step goes, and what to change.

The same as ``sce profile``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.profile import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
