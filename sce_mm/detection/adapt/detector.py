"""All that has to change, in order."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor

from .backbone import BACKBONE, adapt_backbone
from .heads import adapt_heads, note_norms
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
) -> tuple[Plan, str]:
    """Change a detector's config so that it uses a backbone file rightly.

    Args:
        cfg: Of any detector of mmdet with a ResNet.
        path: Backbone file, absolute.
        tensors: Of the file.
        meta: Of the file.
        processes: Of the training, usually GPUs.
        batch: Images of each; None for those of the config.

    Returns:
        The changed config with its changes, and a line about the rate.

    Raises:
        AdaptError: That cannot be done; the message says why.
    """
    unknown = [name for name in FACTS if meta.get(name) is None]
    if unknown:
        raise AdaptError(
            f'{path.name} does not say its {", ".join(unknown)}: export it '
            'again with '
            + ' '.join(f'--{name.replace("_", "-")}' for name in unknown)
        )
    plan = Plan(cfg)
    _check_model(plan)
    with DefaultScope.overwrite_default_scope('mmdet'):
        adapt_backbone(plan, path, tensors, meta)
        adapt_pixels(plan, meta)
        adapt_heads(plan)
        line = adapt_schedule(plan, processes, batch)
        _let_nothing_load_over(plan)
        if plan.get('default_scope') in (ABSENT, None):
            plan.set('default_scope', 'mmdet', 'where these names are found')
        _prove_arrival(plan)
        note_norms(plan, _build(plan, cfg))
    return plan, line


def _check_model(plan: Plan) -> None:
    if not isinstance(plan.get(BACKBONE), dict):
        raise AdaptError(
            'the config has no model.backbone: a part of a config, or a '
            'detector inside of another model (semi-supervised, distilled, '
            'tracking). Give the config of a detector alone'
        )
    teachers = [k for k in plan.get('model') if k.startswith('teacher')]
    if teachers:
        raise AdaptError(
            f'the model has {teachers[0]}: a teacher gets the pixels of the '
            'same preprocessor, which would no longer be those it was '
            'trained on'
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
