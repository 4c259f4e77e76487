"""Write annotation files of COCO that hold a part of the images.

The same as ``sce coco-subset``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.coco_subset import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
