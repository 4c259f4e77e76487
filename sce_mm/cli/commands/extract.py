"""Write the backbone of a checkpoint to a file of its own.

    sce extract CKPT OUT

Knows checkpoints of this project, of the official SCE code, MoCo v1 to v3,
mmpretrain, mmselfsup, mmdet, detectron2, torchvision and timm, and
safetensors (docs/convert.md); any other network with --network. The file has
bare names, a block that says what the weights expect, loads with
weights_only=True, and is the one that sce export writes for mmdet and
mmpretrain.
"""

import shlex
from collections.abc import Sequence

from ... import register
from ..argument_types import OutputFile
from ..arguments import ArgumentParser
from ..command_names import as_typed
from ..converters import (
    add_arguments,
    add_network,
    describe,
    read_backbone,
)

NEXT = """\
For a config of mmdet or mmseg with this network:
    sce detector MMDET_CONFIG {path} OUT
    sce segmentor MMSEG_CONFIG {path} OUT"""

UNKNOWN = """\
The checkpoint does not say {unknown}, which detectors and segmentors need:
repeat the command with --overwrite and {options}"""

# Lines of a config, for ResNets.
BY_HAND = """\
Or by hand, the least that a config of mmdet needs:
    model = dict(backbone=dict(frozen_stages=-1, norm_eval=False,
        init_cfg=dict(type='Pretrained', checkpoint={path!r})){neck})
    custom_imports = dict(imports=['sce_mm.detection'])
    default_hooks = dict(verify_transfer=dict(type='VerifyTransferHook'))"""

# The neck has to be the same one, with its norm.
NECK = """,
        neck=dict(init_cfg=dict(type='Pretrained', checkpoint={path!r},
            prefix='pyramid.'))"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = ArgumentParser(__doc__)
    add_arguments(parser, OutputFile('.pth', '.pt'))
    add_network(parser)
    args = parser.parse_args(argv)
    register()
    from ...transfer import save_backbone
    from ...transfer.networks.families import RESNET, naming_of

    backbone = read_backbone(args)
    save_backbone(args.out, backbone)
    print(f'{args.out}: {describe(backbone)}')
    family, _ = naming_of(backbone.weights) or (None, None)
    if unknown := backbone.unknown:
        text = UNKNOWN.format(
            unknown=', '.join(unknown), options=backbone.unknown_options
        )
        print(as_typed(text))
        return
    print(as_typed(NEXT.format(path=shlex.quote(str(args.out)))))
    if family is RESNET:
        path = str(args.out)
        neck = NECK.format(path=path) if backbone.pyramid else ''
        print(BY_HAND.format(path=path, neck=neck))
