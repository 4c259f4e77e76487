"""Choose where a run sends its numbers: ``--log-to wandb mlflow``.

mmengine has a visualisation backend for each service, whose package it imports
when the first number comes. Here the packages are looked for before training.
Nothing is imported here that takes seconds: the names are choices of an
option.
"""

import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..utils.errors import MissingPackageError

if TYPE_CHECKING:
    from mmengine.config import Config

NONE = 'none'


class Service(NamedTuple):
    """A service that follows runs.

    Attributes:
        backend: Class of mmengine.
        modules: What has to be importable; pip has the same names.
        arguments: Arguments of the backend for a run of this name.
    """

    backend: str
    modules: tuple[str, ...]
    arguments: Callable[[str], dict[str, Any]] = lambda run: {}


def _mlflow(run: str) -> dict[str, Any]:
    # mmengine writes to the work dir unless it is told the address.
    address = os.environ.get('MLFLOW_TRACKING_URI')
    experiment = os.environ.get('MLFLOW_EXPERIMENT_NAME')
    return dict(run_name=run, tracking_uri=address, exp_name=experiment)


def _neptune(run: str) -> dict[str, Any]:
    # Without arguments mmengine logs offline.
    known = 'NEPTUNE_PROJECT' in os.environ
    return dict(init_kwargs=dict(name=run)) if known else {}


SERVICES = {
    'tensorboard': Service('TensorboardVisBackend', ('tensorboard',)),
    'wandb': Service(
        'WandbVisBackend',
        ('wandb',),
        lambda run: dict(init_kwargs=dict(name=run)),
    ),
    'mlflow': Service('MLflowVisBackend', ('mlflow',), _mlflow),
    'clearml': Service(
        'ClearMLVisBackend',
        ('clearml',),
        lambda run: dict(
            init_kwargs=dict(project_name='sce_mm', task_name=run)
        ),
    ),
    'aim': Service(
        'AimVisBackend',
        ('aim',),
        lambda run: dict(init_kwargs=dict(experiment=run)),
    ),
    'neptune': Service('NeptuneVisBackend', ('neptune',), _neptune),
    'dvclive': Service('DVCLiveVisBackend', ('dvclive', 'pygit2')),
}


def log_to(cfg: 'Config', names: Sequence[str]) -> None:
    """Send the numbers of a run to these services, and to no other.

    The files of mmengine in the work dir stay: other commands read them.
    A service that the config has already keeps its arguments there.

    Args:
        cfg: Config with a ``work_dir``, which names the run.
        names: Keys of ``SERVICES``, or ``'none'`` alone.

    Raises:
        ValueError: ``'none'`` and a service are both named.
        MissingPackageError: The package of a service is not installed.
    """
    chosen = [*dict.fromkeys(names)]
    if NONE in chosen and len(chosen) > 1:
        raise ValueError(
            f'--log-to takes services or none, got {" ".join(chosen)}'
        )
    visualizer = dict(cfg.get('visualizer') or dict(type='Visualizer'))
    there = {x['type']: x for x in visualizer.get('vis_backends') or ()}
    backends = [dict(type='LocalVisBackend')]
    for name in chosen:
        if name == NONE:
            continue
        service = SERVICES[name]
        missing = [m for m in service.modules if find_spec(m) is None]
        if missing:
            raise MissingPackageError(
                f'--log-to {name}: {", ".join(missing)} is not installed: '
                f'pip install {" ".join(missing)}'
            )
        run = Path(cfg.work_dir).name
        own = dict(type=service.backend, **service.arguments(run))
        backends.append(there.get(service.backend, own))
    cfg.visualizer = visualizer | dict(vis_backends=backends)
