"""Say which settings of a config differ from those of the run it resumes."""

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from ...checkpoints.recorded_config import parse_config, recorded_config
from ...utils.errors import UserError
from ...utils.text import counted, listed
from ..schedulers.warmup_cosine import WarmupCosineLR

# Keys that say how a process starts, and those of which other messages tell.
_OTHERWISE_SAID = {
    'work_dir',
    'load_from',
    'resume',
    'launcher',
    'model_wrapper_cfg',
    'auto_scale_lr.enable',
    'default_hooks.checkpoint.extends',
    'default_hooks.initial_weights',
    'train_cfg.max_epochs',
    'train_dataloader.batch_size',
    'optim_wrapper.optimizer.lr',
}
# Keys of what a checkpoint has the state of, which takes their place.
_RESTORED = (
    'optim_wrapper.optimizer.',
    'optim_wrapper.paramwise_cfg',
    'randomness.seed',
)


def changed_settings(cfg: Config, checkpoint: dict[str, Any]) -> str:
    """What a config says otherwise than that of the run; empty if nothing.

    Raises:
        UserError: It has another optimiser.
    """
    before, now = recorded_config(checkpoint), parse_config(cfg.pretty_text)
    if not before or not now:
        return ''
    old, new = (_optimizer(config).get('type') for config in (before, now))
    if old != new:
        raise UserError(
            f'the checkpoint has the state of {old}, and this run has {new} '
            'as its optimiser, which cannot go on from it: to begin a new run '
            'from its weights: --init-from'
        )
    changes = [*_differences(before, now)]
    restored: tuple[str, ...] = _RESTORED
    if not _is_own(now.get('param_scheduler')):
        restored += ('param_scheduler',)
    kept = [change for change in changes if change.startswith(restored)]
    taken = [change for change in changes if change not in kept]
    sentences = []
    if taken:
        sentences.append(
            f'from here on {counted(len(taken), "setting")} of the config '
            f'{"differs" if len(taken) == 1 else "differ"} from those of the '
            f'run: {listed(taken)}'
        )
    if kept:
        sentences.append(
            f'not taken, as the checkpoint has the state of what '
            f'{"it sets" if len(kept) == 1 else "they set"}: {listed(kept)}. '
            'A new run from its weights takes them: --init-from'
        )
    return '; '.join(sentences)


def _is_own(schedules: Any) -> bool:
    """Whether all save their position alone, as :class:`WarmupCosineLR`."""
    each = schedules if isinstance(schedules, list) else [schedules]
    own = WarmupCosineLR.__name__
    return all(schedule and schedule.get('type') == own for schedule in each)


def _optimizer(config: dict[str, Any]) -> dict[str, Any]:
    return (config.get('optim_wrapper') or {}).get('optimizer') or {}


def _differences(old: Any, new: Any, path: str = '') -> Iterator[str]:
    """Each value that is not the same, or in one of two configs alone."""
    if path in _OTHERWISE_SAID:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            where = f'{path}.{key}' if path else str(key)
            yield from _differences(old.get(key), new.get(key), where)
    elif (
        isinstance(old, list | tuple)
        and isinstance(new, list | tuple)
        and len(old) == len(new)
    ):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from _differences(*pair, f'{path}.{index}')
    elif old != new:
        yield f'{path} {_shown(old)} -> {_shown(new)}'


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f'dict(type={value["type"]!r})' if 'type' in value else 'dict'
    return f'{len(value)} entries' if isinstance(value, list) else repr(value)
