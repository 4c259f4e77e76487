"""Load the feature pyramid of a file, or give norms to one without weights."""

from ..checkpoints.state_dicts import shape_mismatches
from ..config.parts import type_name
from ..transfer.formats import PYRAMID
from .backbone import BackboneFile
from .edits import ConfigEdits, build, parts_at
from .norms import give_norm
from .part_classes import is_one_of, setting_of

# With their subclasses.
PYRAMIDS = ('FPN', 'FPN_CARAFE')


def adapt_pyramids(edits: ConfigEdits, file: BackboneFile) -> None:
    """Give a norm to feature pyramids, and load that of the file.

    The scale of self-supervised features is not that of supervised ones, for
    which pyramids were tuned; convolutions with random weights need a norm
    between them. A pyramid that has one, in the config or by default, keeps
    it, and so does one without that was pretrained without. Parts of types
    not named here get none.

    The pyramid of the file goes into the first neck that has the same
    tensors. If there is none, a note says so and what differs.
    """
    pyramid = file.backbone.pyramid
    differences = []
    for path, neck in list(parts_at(edits, 'model.neck')):
        difference = _difference(edits, path, file)
        if is_one_of(neck, PYRAMIDS) and (
            difference or setting_of(neck, 'norm_cfg') is not None
        ):
            reason = (
                'the norm of the pretrained one'
                if pyramid
                else 'lateral and output convolutions start at random'
            )
            give_norm(edits, path, reason)
            difference = _difference(edits, path, file)
        if pyramid and not difference:
            init_cfg = {**file.init_cfg, 'prefix': PYRAMID}
            edits.set(f'{path}.init_cfg', init_cfg, 'the pyramid behind them')
            return
        kind = type_name(edits.get(path))
        differences.append(f' {path} ({kind}) is another one:\n{difference}')
    if pyramid:
        edits.notes.append(
            'the weights have a feature pyramid, which is left out, and all '
            'but the backbone starts at random: pretrain with model.pyramid '
            'like the neck of this config.'
            + (differences or [' It has no model.neck'])[0]
        )


def _difference(edits: ConfigEdits, path: str, file: BackboneFile) -> str:
    """Tensors of a neck against the pyramid of the file, if it has one."""
    if not file.backbone.pyramid:
        return 'no pyramid'
    expected = build(edits, path).state_dict()
    return shape_mismatches(expected, file.backbone.pyramid)
