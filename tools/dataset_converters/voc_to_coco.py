"""Write labels of Pascal VOC's XML files as one file in COCO format.

The same as ``sce voc-to-coco``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.voc_to_coco import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
