"""All that has to change, in order."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from ...transfer.named_weights import named_weights, walk
from ...transfer.verify.load_report import pretrained_init
from .backbone import BACKBONE, adapt_backbone, adapt_other_loads
from .classes import class_problems, names, read_labels
from .heads import adapt_heads, adapt_pyramids, note_norms
from .pixels import adapt_pixels
from .plan import ABSENT, AdaptError, Plan
from .schedule import adapt_schedule

IMPORT = 'sce_mm.detection'
HOOK = {'type': 'VerifyTransferHook'}
FACTS = ('channel_order', 'mean', 'std', 'style')


def adapt(
    cfg: Config,
    path: Path,
    tensors: Mapping[str, Tensor],
    meta: Mapping[str, Any],
    processes: int = 1,
    batch: int | None = None,
    keep_heads: bool = False,
) -> tuple[Plan, str]:
    """Change a detector's config so that it uses a backbone file rightly.

    Args:
        cfg: Of any detector of mmdet with a ResNet.
        path: Backbone file, absolute.
        tensors: Of the file.
        meta: Of the file.
        processes: Of the training, usually GPUs.
        batch: Images of each; None for those of the config.
        keep_heads: Give no norm to the heads and let box heads be.

    Returns:
        The changed config with its changes, and a line about the rate.

    Raises:
        AdaptError: That cannot be done; the message says why.
    """
    unknown = [name for name in FACTS if meta.get(name) is None]
    if unknown:
        raise AdaptError(
            f'the weights do not say their {", ".join(unknown)}: extract them '
            'with tools/model_converters/extract_backbone.py and '
            + ' '.join(f'--{name.replace("_", "-")}' for name in unknown)
        )
    plan = Plan(cfg)
    _check_model(plan)
    _check_classes(plan)
    with DefaultScope.overwrite_default_scope('mmdet'):
        adapt_backbone(plan, path, tensors, meta)
        _let_nothing_load_over(plan)
        adapt_other_loads(plan, path, tensors, meta)
        adapt_pixels(plan, meta)
        adapt_pyramids(plan)
        if not keep_heads:
            adapt_heads(plan)
        line = adapt_schedule(plan, processes, batch)
        if plan.get('default_scope') in (ABSENT, None):
            plan.set('default_scope', 'mmdet', 'where these names are found')
        _prove_arrival(plan)
        model = _build(plan, cfg)
        note_norms(plan, model)
        for where, value in _loads_by_itself(plan, model).items():
            plan.notes.append(f'{where} loads {value} by itself')
    return plan, line


def start_at_random(plan: Plan) -> None:
    """Let a config of :func:`adapt` load nothing; all else stays.

    Args:
        plan: Changed.

    Raises:
        AdaptError: Weights of elsewhere would still be loaded.
    """
    path = plan.get(f'{BACKBONE}.init_cfg.checkpoint')
    reason = 'nothing is loaded'
    for where, value in list(named_weights(plan.cfg)):
        if value == path:
            plan.set(where.removesuffix('.checkpoint'), None, reason)
    hooks = [h for h in plan.get('custom_hooks') if h['type'] != HOOK['type']]
    plan.set('custom_hooks', hooks, reason)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = _build(plan, plan.cfg)
    left = dict(named_weights(plan.cfg)) | _loads_by_itself(plan, model)
    if left:
        texts = ', '.join(f'{where} loads {left[where]}' for where in left)
        raise AdaptError(
            f'the detector cannot begin at random: {texts}. Take that out of '
            'its config'
        )


def _loads_by_itself(plan: Plan, model: nn.Module) -> dict[str, str]:
    """Parts of a model that load a file which the config does not name."""
    named = {value for _, value in named_weights(plan.cfg)}
    return {
        f'model.{name}': path
        for name, module in model.named_modules()
        if (path := pretrained_init(module).get('checkpoint'))
        and path not in named
    }


def _check_model(plan: Plan) -> None:
    if not isinstance(plan.get(BACKBONE), dict):
        raise AdaptError(
            'the config has no model.backbone: a part of a config, or a '
            'detector inside of another model (semi-supervised, distilled, '
            'tracking). Give the config of a detector alone'
        )
    for path, value in walk(plan.get('model'), 'model'):
        if path.rpartition('.')[2].startswith('teacher') and value is not None:
            raise AdaptError(
                f'the model has {path}: a teacher gets the pixels of the '
                'same preprocessor, which would no longer be those it was '
                'trained on'
            )


def _check_classes(plan: Plan) -> None:
    """Classes are those of the labels, as far as they are there."""
    problems = list(class_problems(plan.cfg))
    if problems:
        raise AdaptError('\n'.join(problems))
    for labels in read_labels(plan.cfg):
        others = [n for n in labels.categories if n not in labels.classes]
        if others:
            plan.notes.append(
                f'{labels.where}: objects of {names(others)} in {labels.file} '
                'are of no class and left out'
            )


def _let_nothing_load_over(plan: Plan) -> None:
    for where in ('load_from', 'model.init_cfg'):
        if plan.get(where) not in (ABSENT, None):
            plan.set(where, None, 'would load over the backbone')
    if plan.get('resume') is True:
        plan.set('resume', False, 'a resumed training keeps its own weights')


def _prove_arrival(plan: Plan) -> None:
    imports = plan.get('custom_imports')
    old = {} if imports is ABSENT else dict(imports)
    names = old.get('imports', [])
    names = [names] if isinstance(names, str) else list(names)
    if IMPORT not in names:
        plan.set(
            'custom_imports',
            {
                'imports': [*names, IMPORT],
                'allow_failed_imports': old.get('allow_failed_imports', False),
            },
            'registers the hook; recorded in every dump of the config',
        )
    hooks = plan.get('custom_hooks')
    hooks = [] if hooks in (ABSENT, None) else list(hooks)
    if HOOK['type'] not in [hook['type'] for hook in hooks]:
        plan.set(
            'custom_hooks',
            [*hooks, HOOK],
            'compares every tensor with the file before the first iteration',
        )


def _build(plan: Plan, before: Config) -> Any:
    try:
        # mmdet's detectors write into the config that they are built from.
        return MODELS.build(copy.deepcopy(plan.get('model')))
    except Exception as error:
        reason = error
    try:
        MODELS.build(copy.deepcopy(before.model))
        which = 'changed config'
    except Exception as error:
        which, reason = 'config, changed or not,', error
    raise AdaptError(
        f'the {which} builds no {plan.get("model.type")}: {reason}'
    ) from reason
