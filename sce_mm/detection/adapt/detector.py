"""Change a detector's config so that it uses self-supervised weights rightly.

The steps, in order; each is a file of this folder.
"""

import copy

from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope

from ...config.parts import find_hook, hooks_of
from ...transfer.named_weights import named_weights
from ...transfer.verify.load_report import pretrained_init
from .backbone import BACKBONE, BackboneFile, adapt_backbone, adapt_other_loads
from .classes import class_problems, names, read_labels
from .edits import AdaptError, ConfigEdits
from .heads import adapt_heads, adapt_pyramids
from .pixels import adapt_pixels
from .schedule import adapt_schedule

IMPORT = 'sce_mm.detection'
HOOK = {'type': 'VerifyTransferHook'}
METADATA = ('channel_order', 'mean', 'std', 'style')


def adapt(
    cfg: Config,
    file: BackboneFile,
    processes: int = 1,
    batch: int | None = None,
    keep_heads: bool = False,
) -> tuple[ConfigEdits, str]:
    """Change a detector's config so that it uses a backbone file rightly.

    Args:
        cfg: Config of any detector of mmdet with a ResNet.
        file: The weights.
        processes: Processes of the training, usually GPUs.
        batch: Images of each; None for those of the config.
        keep_heads: Give no norm to the heads and let box heads be.

    Returns:
        The edited config, and a line about the learning rate.

    Raises:
        AdaptError: The config cannot be changed like that; the message says
            why.
    """
    meta = file.backbone.meta
    if unknown := [name for name in METADATA if meta[name] is None]:
        raise AdaptError(
            f'the weights do not say their {", ".join(unknown)}: extract them '
            'with tools/model_converters/extract_backbone.py and '
            + ' '.join(f'--{name.replace("_", "-")}' for name in unknown)
        )
    edits = ConfigEdits(cfg)
    if not isinstance(edits.get(BACKBONE), dict):
        raise AdaptError(
            'the config has no model.backbone: a part of a config, or a '
            'detector inside of another model (semi-supervised, distilled, '
            'tracking). Give the config of a detector alone'
        )
    _check_classes(edits)
    with DefaultScope.overwrite_default_scope('mmdet'):
        adapt_backbone(edits, file)
        for where in ('load_from', 'model.init_cfg'):
            edits.set(where, None, 'would load over the backbone')
        if edits.get('resume'):
            edits.set('resume', False, 'a resumed training keeps its weights')
        adapt_other_loads(edits, file)
        adapt_pixels(edits, meta)
        adapt_pyramids(edits)
        if not keep_heads:
            adapt_heads(edits)
        line = adapt_schedule(edits, processes, batch)
        if edits.get('default_scope') is None:
            edits.set('default_scope', 'mmdet', 'where these names are found')
        _add_verification(edits)
        for where, value in _loads_by_itself(edits).items():
            edits.notes.append(f'{where} loads {value} by itself')
    return edits, line


def start_at_random(edits: ConfigEdits) -> None:
    """Remove all weights from a config of :func:`adapt`; all else stays.

    Raises:
        AdaptError: Weights from elsewhere would still be loaded.
    """
    path = edits.get(f'{BACKBONE}.init_cfg.checkpoint')
    reason = 'nothing is loaded'
    for where, value in list(named_weights(edits.cfg)):
        if value == path:
            edits.set(where.removesuffix('.checkpoint'), None, reason)
    for where, hook in list(hooks_of(edits.cfg)):
        if hook['type'] == HOOK['type'] and where.startswith('default_hooks'):
            edits.set(where, None, reason)
    custom = edits.get('custom_hooks') or []
    others = [hook for hook in custom if hook['type'] != HOOK['type']]
    if others != custom:
        edits.set('custom_hooks', others, reason)
    with DefaultScope.overwrite_default_scope('mmdet'):
        left = dict(named_weights(edits.cfg)) | _loads_by_itself(edits)
    if left:
        texts = ', '.join(f'{where} loads {left[where]}' for where in left)
        raise AdaptError(
            f'the detector cannot start at random: {texts}. Take that out of '
            'its config'
        )


def _loads_by_itself(edits: ConfigEdits) -> dict[str, str]:
    """Parts of the model that load a file which the config does not name."""
    try:
        # mmdet's detectors write into the config that they are built from.
        model = MODELS.build(copy.deepcopy(edits.get('model')))
    except Exception as error:
        raise AdaptError(
            f'the config builds no {edits.get("model.type")}: {error}'
        ) from error
    named = {value for _, value in named_weights(edits.cfg)}
    return {
        f'model.{name}': path
        for name, module in model.named_modules()
        if (path := pretrained_init(module).get('checkpoint'))
        and path not in named
    }


def _check_classes(edits: ConfigEdits) -> None:
    """Compare the classes with those of the labels that are there."""
    if problems := list(class_problems(edits.cfg)):
        raise AdaptError('\n'.join(problems))
    for labels in read_labels(edits.cfg):
        others = [n for n in labels.categories if n not in labels.classes]
        if others:
            edits.notes.append(
                f'{labels.where}: objects of {names(others)} in {labels.file} '
                'are of no class and left out'
            )


def _add_verification(edits: ConfigEdits) -> None:
    """Add the hook that compares model and file, and what registers it."""
    old = dict(edits.get('custom_imports') or {})
    imports = old.get('imports', [])
    imports = [imports] if isinstance(imports, str) else list(imports)
    if IMPORT not in imports:
        edits.set(
            'custom_imports',
            {
                'allow_failed_imports': False,
                **old,
                'imports': [*imports, IMPORT],
            },
            'registers the hook; recorded in every dump of the config',
        )
    if find_hook(edits.cfg, HOOK['type']) is None:
        reason = (
            'compares every tensor with the file before the first iteration; '
            'custom_hooks stays free for hooks of your own'
        )
        if edits.get('default_hooks') is None:
            edits.set('default_hooks', {'verify_transfer': HOOK}, reason)
        else:
            edits.set('default_hooks.verify_transfer', HOOK, reason)
