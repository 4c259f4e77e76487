"""Deal with whatever else in a config loads weights."""

import re

from mmengine.registry import DefaultScope
from torch import nn

from ..config.parts import type_name
from ..transfer.named_weights import named_weights
from ..transfer.verify.load_report import pretrained_init
from .backbone import (
    BACKBONE,
    BackboneFile,
    check_fit,
    is_resnet,
    load_into_resnet,
    stages_of,
)
from .edits import AdaptError, ConfigEdits, build
from .part_classes import setting_of
from .verification import remove_verification


def adapt_other_loads(edits: ConfigEdits, file: BackboneFile) -> None:
    """Let nothing load over the backbone, and adapt what else loads weights.

    A second backbone is treated as the first where the file fits it. A note
    says what everything else loads.
    """
    for where in ('load_from', 'model.init_cfg', 'model.pretrained'):
        edits.set(where, None, 'would load over the backbone')
    if edits.get('resume'):
        edits.set('resume', False, 'a resumed training keeps its weights')
    for where, value in list(named_weights(edits.cfg)):
        if edits.get(where) is None or value == str(file.path):
            continue
        owner = re.sub(r'\.(init_cfg\b.*|pretrained)$', '', where)
        reason = ''
        if owner != where and is_resnet(edits, owner):
            # In a copy: a part of it would be worse than nothing.
            trial = ConfigEdits(edits.cfg)
            try:
                load_into_resnet(trial, owner, file)
                check_fit(trial, owner, file, stages_of(trial, owner))
            except AdaptError as error:
                settings = ', '.join(
                    f'{name}={edits.get(f"{owner}.{name}")}'
                    for name in ('frozen_stages', 'norm_eval')
                )
                first = str(error).splitlines()[0].rstrip(':')
                reason = f' ({settings}): {first}'
            else:
                edits.cfg = trial.cfg
                edits.changes += trial.changes
                continue
        edits.notes.append(f'{where} loads {value}, not this file{reason}')


def note_hidden_loads(edits: ConfigEdits) -> nn.Module:
    """Note parts of the model that load a file which no config names.

    Returns:
        The model that the config builds.

    Raises:
        AdaptError: The config builds no model.
    """
    model = build(edits, 'model')
    for where, value in _hidden_loads(edits, model).items():
        edits.notes.append(f'{where} loads {value} by itself')
    return model


def start_at_random(edits: ConfigEdits) -> None:
    """Remove all weights from a config that was adapted; all else stays.

    Raises:
        AdaptError: Weights from elsewhere would still be loaded.
    """
    path = edits.get(f'{BACKBONE}.init_cfg.checkpoint')
    reason = 'nothing is loaded'
    remove_verification(edits, reason)
    with DefaultScope.overwrite_default_scope(edits.get('default_scope')):
        for where, value in list(named_weights(edits.cfg)):
            if value == path:
                init_cfg = where.removesuffix('.checkpoint')
                # What the class has when a config gives it none.
                kind = edits.get(f'{init_cfg.rpartition(".")[0]}.type')
                own = setting_of({'type': kind}, 'init_cfg')
                edits.set(init_cfg, own, reason)
        left = dict(named_weights(edits.cfg)) | _hidden_loads(
            edits, build(edits, 'model')
        )
    if left:
        texts = ', '.join(f'{where} loads {left[where]}' for where in left)
        kind = type_name(edits.get('model'))
        raise AdaptError(
            f'the model of this config, {kind}, cannot start at random: '
            f'{texts}. Take that out of the config'
        )


def _hidden_loads(edits: ConfigEdits, model: nn.Module) -> dict[str, str]:
    named = {value for _, value in named_weights(edits.cfg)}
    return {
        f'model.{name}': path
        for name, module in model.named_modules()
        if (path := pretrained_init(module).get('checkpoint'))
        and path not in named
    }
