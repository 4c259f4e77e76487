"""Use data sets and metric of a predictor once, before hours pass."""

import contextlib
import copy
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from ..config.errors import ConfigError
from ..config.parts import innermost_dataset
from ..utils.errors import UserError
from ..utils.progress import errors_alone


def try_once(
    cfg: Config,
    labels: Sequence[Path],
    predictor: str,
    scope: str,
    evaluate: Callable[[Config], None],
) -> dict[Path, int]:
    """Load an image of each training, and evaluate a made-up prediction.

    Args:
        cfg: Config of the predictor on the user's labels.
        labels: Files of the labels of the trainings.
        predictor: What it is, for messages.
        scope: Registry scope of its names.
        evaluate: Lets the metric of a config evaluate something.

    Returns:
        How many batches an epoch has, by the file of labels.

    Raises:
        ConfigError: A data set or the metric does not work.
    """
    # Tables of what has not been trained would only confuse.
    with (
        errors_alone(),
        DefaultScope.overwrite_default_scope(scope),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        batches = {file: _load_one(cfg, file, predictor) for file in labels}
        evaluate(cfg)
    return batches


def _load_one(cfg: Config, labels: Path, predictor: str) -> int:
    """Load an image by the training's loader; batches of an epoch."""
    cfg = copy.deepcopy(cfg)
    key, dataset = innermost_dataset(cfg)
    dataset.ann_file = str(labels)
    wanted = dataset.get('filter_cfg')
    hint = f' Images are kept by filter_cfg={dict(wanted)}' if wanted else ''
    with explained(predictor, f'{key} with {labels}', hint):
        loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
        loader.dataset[0]
        if not len(loader):
            raise UserError(
                f'{len(loader.dataset)} images are fewer than a batch, and '
                'drop_last leaves them out'
            )
        return len(loader)


@contextlib.contextmanager
def explained(predictor: str, what: str, hint: str = '') -> Iterator[None]:
    """Say which part of a predictor's config an error comes from."""
    try:
        yield
    # Whatever a data set, a transform or the metric raises.
    except Exception as error:
        raise ConfigError(
            f'the {predictor} cannot use {what}: {type(error).__name__}: '
            f'{error}.{hint}'
        ) from error
