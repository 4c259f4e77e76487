"""Write a list of some training images of ImageNet, with labels.

The same as ``sce imagenet-subset``, which says more: ``--help``.
"""

__starts_light__ = True

from sce_mm.cli.commands.imagenet_subset import main
from sce_mm.cli.exit import run_main

if __name__ == '__main__':
    run_main(main)
