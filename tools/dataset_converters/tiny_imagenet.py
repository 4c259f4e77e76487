"""Write lists with labels for the unpacked archive of Tiny-ImageNet.

The same as ``sce tiny-imagenet``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.tiny_imagenet import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
