"""Change a segmentor's config so that it uses self-supervised weights rightly.

What detectors need as well is in sce_mm/downstream; here is what mmseg has
otherwise: deep stems, weights of the whole model, one rate without its batch.
"""

from mmengine.config import Config
from mmengine.registry import DefaultScope

from ..config.parts import type_name
from ..config.rate_batch import AS_SAID, RateBatch
from ..downstream import AdaptError, BackboneFile, ConfigEdits
from ..downstream.backbone import BACKBONE, require_metadata, require_scope
from ..downstream.edits import parts_at
from ..downstream.networks import load_whole
from ..downstream.norms import give_norm
from ..downstream.other_weights import adapt_other_loads, note_hidden_loads
from ..downstream.pixels import adapt_pixels
from ..downstream.pyramid import adapt_pyramids
from ..downstream.schedule import adapt_schedule
from ..downstream.verification import add_verification, require_rates
from .classes import class_problems

IMPORT = 'sce_mm.segmentation'
DEEP_STEMS = ('ResNetV1c', 'ResNetV1d')
# Heads made of convolutions, which take a norm where the config has none.
CONV_HEADS = (
    'ASPPHead',
    'DepthwiseSeparableASPPHead',
    'DepthwiseSeparableFCNHead',
    'FCNHead',
    'FPNHead',
    'PSPHead',
    'SegformerHead',
    'UPerHead',
)


def adapt(
    cfg: Config,
    file: BackboneFile,
    processes: int = 1,
    batch: int | None = None,
    rate_batch: RateBatch = AS_SAID,
) -> tuple[ConfigEdits, str]:
    """Change a segmentor's config so that it uses a backbone file rightly.

    Data, crops, heads, dilations and iterations stay.

    Args:
        cfg: Config of any segmentor of mmseg with the network of the file.
        file: The weights.
        processes: Processes of the training, usually GPUs.
        batch: Images of each; None for those of the config.
        rate_batch: Batch that the rate of the config is for, see
            :func:`~sce_mm.config.rate_batch.batch_of_rate`.

    Returns:
        The edited config, and a line about the learning rate.

    Raises:
        AdaptError: The config cannot be changed like that; the message says
            why.
    """
    require_metadata(file)
    edits = ConfigEdits(cfg)
    require_scope(edits, 'mmseg')
    if not isinstance(edits.get(BACKBONE), dict):
        raise AdaptError(
            'the config has no model.backbone: a part of a config, or a model '
            'whose network has another name (image_encoder of CLIP). Give the '
            'config of a segmentor with a backbone'
        )
    if edits.get(f'{BACKBONE}.backbone_cfg'):
        raise AdaptError(
            f'{BACKBONE} is a {type_name(edits.get(BACKBONE))}, which has the '
            'network of the weights inside of it, at backbone_cfg, and other '
            'parts that start at random: set type, init_cfg, norms and pixels '
            'by hand. The tensors of such a network are not compared'
        )
    if problems := list(class_problems(edits.cfg)):
        raise AdaptError('\n'.join(problems))
    with DefaultScope.overwrite_default_scope('mmseg'):
        _use_plain_resnet(edits, file)
        load_whole(edits, BACKBONE, file)
        adapt_other_loads(edits, file)
        adapt_pixels(edits, file.backbone.meta, 'SegDataPreProcessor')
        adapt_pyramids(edits, file)
        _train_norms_of_heads(edits)
        line = adapt_schedule(edits, processes, batch, rate_batch)
        if edits.get('default_scope') is None:
            edits.set('default_scope', 'mmseg', 'where these names are found')
        add_verification(edits, IMPORT)
        require_rates(edits, note_hidden_loads(edits), file)
    return edits, line


def _use_plain_resnet(edits: ConfigEdits, file: BackboneFile) -> None:
    """Replace a deep stem if the file has one convolution in its place."""
    if 'conv1.weight' not in file.backbone.weights:
        return
    name = type_name(edits.get(BACKBONE))
    if name in DEEP_STEMS:
        edits.set(
            f'{BACKBONE}.type',
            'ResNet',
            f'the stem of the weights is one convolution of 7 x 7; {name} has '
            'three of 3 x 3, which would stay at random without an error. '
            'Dilations and strides are those of the config',
        )
    for option in ('deep_stem', 'avg_down'):
        if edits.get(f'{BACKBONE}.{option}'):
            reason = 'stem and shortcuts of the weights are plain'
            edits.set(f'{BACKBONE}.{option}', False, reason)


def _train_norms_of_heads(edits: ConfigEdits) -> None:
    """Train the batch norm of heads, and add one between convolutions."""
    for place in ('model.decode_head', 'model.auxiliary_head'):
        for path, head in parts_at(edits, place):
            if head.get('norm_cfg') or type_name(head) in CONV_HEADS:
                reason = 'norm between the convolutions of the head'
                give_norm(edits, path, reason)
