"""Draw a map of the features of a folder of images by t-SNE.

The same as ``sce embed``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.embed import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
