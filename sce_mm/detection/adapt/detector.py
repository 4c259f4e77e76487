"""Change a detector's config so that it uses self-supervised weights rightly.

The steps, in order; each is a file of this folder or of sce_mm/downstream.
"""

from mmengine.config import Config
from mmengine.registry import DefaultScope

from ...config.rate_batch import AS_SAID, RateBatch
from ...downstream import AdaptError, BackboneFile, ConfigEdits
from ...downstream.backbone import require_metadata, require_scope
from ...downstream.other_weights import adapt_other_loads, note_hidden_loads
from ...downstream.pixels import adapt_pixels
from ...downstream.pyramid import adapt_pyramids
from ...downstream.schedule import adapt_schedule
from ...downstream.verification import add_verification, require_rates
from .by_hand import (
    require_architecture,
    require_colours,
    require_detector,
)
from .classes import class_notes, class_problems, quoted, read_labels
from .heads import adapt_heads, note_missing_norms
from .shared_head import adapt_backbone

IMPORT = 'sce_mm.detection'


def adapt(
    cfg: Config,
    file: BackboneFile,
    processes: int = 1,
    batch: int | None = None,
    rate_batch: RateBatch = AS_SAID,
    keep_heads: bool = False,
) -> tuple[ConfigEdits, str]:
    """Change a detector's config so that it uses a backbone file rightly.

    Args:
        cfg: Config of any detector of mmdet with the network of the file.
        file: The weights.
        processes: Processes of the training, usually GPUs.
        batch: Images of each; None for those of the config.
        rate_batch: Batch that the rate of the config is for, see
            :func:`~sce_mm.config.rate_batch.batch_of_rate`.
        keep_heads: Give no norm to the heads and let box heads be.

    Returns:
        The edited config, and a line about the learning rate.

    Raises:
        AdaptError: The config cannot be changed like that; the message says
            why.
    """
    require_metadata(file)
    edits = ConfigEdits(cfg)
    require_scope(edits, 'mmdet')
    require_detector(edits)
    _check_classes(edits)
    with DefaultScope.overwrite_default_scope('mmdet'):
        require_architecture(edits, file)
        adapt_backbone(edits, file)
        adapt_other_loads(edits, file)
        require_colours(edits, file)
        adapt_pixels(edits, file.backbone.meta, 'DetDataPreprocessor')
        adapt_pyramids(edits, file)
        if not keep_heads:
            adapt_heads(edits)
        line = adapt_schedule(edits, processes, batch, rate_batch)
        if edits.get('default_scope') is None:
            edits.set('default_scope', 'mmdet', 'where these names are found')
        add_verification(edits, IMPORT)
        model = note_hidden_loads(edits)
        require_rates(edits, model, file)
        if not keep_heads:
            note_missing_norms(edits, model)
    return edits, line


def _check_classes(edits: ConfigEdits) -> None:
    """Compare the classes with those of the labels that are there."""
    if problems := list(class_problems(edits.cfg)):
        raise AdaptError('\n'.join(problems))
    edits.notes += class_notes(edits.cfg)
    noted = set()
    for labels in read_labels(edits.cfg):
        others = [n for n in labels.categories if n not in labels.classes]
        # A metric reads the file of its data set once more.
        if others and labels.file not in noted:
            noted.add(labels.file)
            edits.notes.append(
                f'{labels.where}: objects of {quoted(others)} in '
                f'{labels.file} belong to no class of the config and are '
                'left out'
            )
