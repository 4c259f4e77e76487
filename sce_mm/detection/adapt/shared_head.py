"""Load a backbone file into a detector, whose last stage may be in a head.

In C4 detectors the shared head of the regions is the last stage of the
ResNet, so a file goes into two parts.
"""

from ...config.parts import type_name
from ...downstream import AdaptError, BackboneFile, ConfigEdits
from ...downstream.backbone import (
    BACKBONE,
    check_fit,
    load_and_train,
    load_into_resnet,
    stages_of,
)
from ...downstream.networks import load_whole, network_kind

SHARED_HEAD = 'model.roi_head.shared_head'


def adapt_backbone(edits: ConfigEdits, file: BackboneFile) -> None:
    """Load the file into the backbone and, in a C4 detector, the shared head.

    Raises:
        AdaptError: It is not the network of the file.
    """
    if network_kind(file):
        load_whole(edits, BACKBONE, file)
        return
    load_into_resnet(edits, BACKBONE, file)
    in_head = ''
    if isinstance(edits.get(SHARED_HEAD), dict):
        name = type_name(edits.get(SHARED_HEAD))
        if name not in ('ResLayer', 'ResLayerExtraNorm'):
            raise AdaptError(
                f'{SHARED_HEAD} is a {name}: expected a ResLayer, which the '
                'last stage of the file can be loaded into'
            )
        edits.set(
            f'{SHARED_HEAD}.type',
            'ResLayerExtraNorm',
            'one more norm after the last stage, as its batch norm is trained',
        )
        load_and_train(edits, SHARED_HEAD, file)
        stage = edits.get(f'{SHARED_HEAD}.stage')
        in_head = f'layer{4 if stage is None else stage + 1}.'
        check_fit(edits, SHARED_HEAD, file, (in_head,))
    stages = stages_of(edits, BACKBONE)
    needed = [f'layer{n}.' for n in range(1, 5)]
    if lost := [n for n in needed if n not in (*stages, in_head)]:
        raise AdaptError(
            f'{BACKBONE} has no place for {lost[0][:-1]}, nor has a '
            f'{SHARED_HEAD}: part of the file would be lost'
        )
    check_fit(edits, BACKBONE, file, stages)
