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

from ..utils.errors import MissingPackageError, UserError

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.visualization import Visualizer

NONE = 'none'


class Service(NamedTuple):
    """A service that follows runs.

    Attributes:
        backend: Class of mmengine.
        modules: What has to be importable; pip has the same names.
        arguments: Arguments of the backend for a run with this work dir.
    """

    backend: str
    modules: tuple[str, ...]
    arguments: Callable[[Path], dict[str, Any]] = lambda work_dir: {}


def _mlflow(work_dir: Path) -> dict[str, Any]:
    # mmengine's default is a folder of files, which MLflow 3 refuses.
    here = work_dir.absolute()
    own = dict(
        tracking_uri=f'sqlite:///{here}/mlflow.db',
        artifact_location=str(here / 'mlruns'),
    )
    address = os.environ.get('MLFLOW_TRACKING_URI')
    return dict(
        run_name=work_dir.name,
        exp_name=os.environ.get('MLFLOW_EXPERIMENT_NAME', 'sce_mm'),
        **(dict(tracking_uri=address) if address else own),
    )


def _neptune(work_dir: Path) -> dict[str, Any]:
    # Without arguments mmengine logs offline.
    known = 'NEPTUNE_PROJECT' in os.environ
    return dict(init_kwargs=dict(name=work_dir.name)) if known else {}


SERVICES = {
    'tensorboard': Service('TensorboardVisBackend', ('tensorboard',)),
    'wandb': Service(
        'WandbVisBackend',
        ('wandb',),
        lambda work_dir: dict(init_kwargs=dict(name=work_dir.name)),
    ),
    'mlflow': Service('MLflowVisBackend', ('mlflow',), _mlflow),
    'clearml': Service(
        'ClearMLVisBackend',
        ('clearml',),
        lambda work_dir: dict(
            init_kwargs=dict(project_name='sce_mm', task_name=work_dir.name)
        ),
    ),
    'aim': Service(
        'AimVisBackend',
        ('aim',),
        lambda work_dir: dict(init_kwargs=dict(experiment=work_dir.name)),
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
        UserError: ``'none'`` and a service are both named.
        MissingPackageError: The package of a service is not installed.
    """
    chosen = [*dict.fromkeys(names)]
    if NONE in chosen and len(chosen) > 1:
        raise UserError(
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
        arguments = service.arguments(Path(cfg.work_dir))
        own = dict(type=service.backend, **arguments)
        backends.append(there.get(service.backend, own))
    cfg.visualizer = visualizer | dict(vis_backends=backends)


def begin_services(visualizer: 'Visualizer') -> None:
    """Begin a run with each service, on the main process.

    mmengine would do so when it writes the config, with the error of the
    service, for example of an account that is missing.

    Raises:
        UserError: A service does not begin.
    """
    from mmengine.dist import is_main_process

    if not is_main_process():
        return
    names = {service.backend: name for name, service in SERVICES.items()}
    for backend in visualizer._vis_backends.values():
        kind = type(backend).__name__
        try:
            backend.experiment  # noqa: B018
        except Exception as error:
            lines = str(error).strip().splitlines() or ['']
            reason = f'{type(error).__name__}: {lines[0].rstrip(".!")}'
            raise UserError(
                f'{names.get(kind, kind)} cannot begin: {reason}. '
                '--log-to none trains without it'
            ) from error
