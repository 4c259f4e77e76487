"""Check a whole config and list everything that cannot work in it.

Everything is looked for at once, before GPUs wait for it: misspelt names,
arguments that a class refuses, parts that do not fit together, folders that
are not there and some that cannot be written to.
"""

from collections.abc import Callable, Iterable, Iterator

from mmengine.config import Config
from mmengine.registry import DefaultScope

from ..models import SCE
from ..utils.random_state import preserve_rng
from . import types, values
from .building import refused_arguments, shapes
from .errors import ConfigError, raise_all
from .names import wrong_names
from .paths import missing_data, missing_paths, unwritable_folders

Check = Callable[[Config], Iterable[str]]
ModelCheck = Callable[[Config, SCE], Iterable[str]]


def check_config(
    cfg: Config,
    training: bool = True,
    also: Iterable[Check] = (),
    of_model: Iterable[ModelCheck] = (),
) -> None:
    """Find what cannot work in a config.

    Of a config that pretrains an SCE model, model, transforms, hooks and
    optimiser are built and thrown away; random generators are as before. Of
    other configs names, seed and paths are checked.

    Args:
        cfg: Config.
        training: Whether the config is to be trained; otherwise only names
            are checked.
        also: Checks of rooms above this one; each yields one line a problem.
        of_model: The same of pretraining, for the model if it can be built.
            It is in evaluation mode.

    Raises:
        ConfigError: Problems were found; the message lists all of them, each
            with its key.
    """
    problems: list[str] = []
    models: list[SCE] = []

    def look(*checks: Check) -> None:
        for check in checks:
            try:
                problems.extend(check(cfg))
            # It stumbled over what has been found already.
            except (AttributeError, KeyError, TypeError, ConfigError):
                if not problems:
                    raise

    def build(cfg: Config) -> Iterator[str]:
        known = {p.split(': ')[0] for p in problems}
        return refused_arguments(cfg, known, models)

    if not training:
        look(wrong_names)
    elif not _pretrains(cfg):
        look(wrong_names, values.wrong_seed, values.wrong_words, missing_data)
        look(*also, unwritable_folders)
    else:
        look(
            types.wrong_types,
            wrong_names,
            types.missing_types,
            types.unknown_types,
            types.text_flags,
            types.dataset_arguments,
            types.sharding,
            values.wrong_seed,
            values.wrong_words,
            values.wrong_counts,
            values.empty_layers,
            values.wrong_optimizer,
            values.wrong_pixels,
            values.not_finite,
            values.huge_queues,
        )
        scope = DefaultScope.overwrite_default_scope('mmpretrain')
        with preserve_rng(), scope:
            look(build)
            if not problems:
                of_built = (_about(models[0], f) for f in (shapes, *of_model))
                look(*of_built, *also)
        look(
            values.wrong_queue,
            values.wrong_views,
            values.missing_boxes,
            values.wrong_hooks,
            values.wrong_schedules,
            types.loader_options,
            missing_paths,
            unwritable_folders,
        )
    raise_all(problems, 'in the config')


def require_pretraining(cfg: Config, name: str) -> None:
    """Refuse a config that trains something else, by its name.

    Raises:
        ConfigError: Its model is not SCE.
    """
    if not _pretrains(cfg):
        raise ConfigError(
            f'{name} is the config of {cfg.model.type}: expected a '
            'pretraining by SCE; sce recipes lists those of sce_mm'
        )


def _about(model: SCE, check: ModelCheck) -> Check:
    return lambda cfg: check(cfg, model)


def _pretrains(cfg: Config) -> bool:
    model = cfg.get('model')
    return not isinstance(model, dict) or model.get('type', 'SCE') == 'SCE'
