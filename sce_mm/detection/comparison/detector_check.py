"""Try the model, data sets and metric of a detector once before training."""

import contextlib
import copy
import io
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from mmdet.registry import DATASETS, METRICS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

from ...config.check import check_config
from ...config.errors import ConfigError
from ...config.parts import innermost_dataset
from ...config.reading import override
from ..adapt.classes import class_problems


def check_detector(
    cfg: Config, options: Sequence[str], labels: Sequence[Path]
) -> None:
    """Find what would end a training or its evaluation, in the first minute.

    Args:
        cfg: Config of the detector on the user's labels.
        options: Overrides of every training, written into the config.
        labels: Annotation files of the trainings.

    Raises:
        ConfigError: The config, a data set or the metric does not work.
    """
    try:
        override(cfg, options)
    except ConfigError as error:
        text = str(error).replace('--cfg-options', '--detector-options')
        raise ConfigError(text) from error
    check_config(cfg, also=[class_problems])
    logger = MMLogger.get_current_instance()
    level = logger.level
    # Tables of a detector that has not been trained would only confuse.
    logger.setLevel(logging.ERROR)
    scope = DefaultScope.overwrite_default_scope('mmdet')
    try:
        with scope, contextlib.redirect_stdout(io.StringIO()):
            for file in labels:
                _load_one(cfg, file)
            _evaluate_one(cfg)
    finally:
        logger.setLevel(level)


def _load_one(cfg: Config, labels: Path) -> None:
    cfg = copy.deepcopy(cfg)
    key, dataset = innermost_dataset(cfg)
    dataset.ann_file = str(labels)
    wanted = dataset.get('filter_cfg')
    hint = f' Images are kept by filter_cfg={dict(wanted)}' if wanted else ''
    with _explained(f'{key} with {labels}', hint):
        DATASETS.build(cfg.train_dataloader.dataset)[0]


def _evaluate_one(cfg: Config) -> None:
    """Evaluate one made-up detection against all objects."""
    with _explained('val_dataloader.dataset'):
        dataset = DATASETS.build(cfg.val_dataloader.dataset)
        sample = dataset[0]['data_samples']
    height, width = sample.ori_shape
    found = {
        'bboxes': torch.tensor([[0.0, 0.0, width, height]]),
        'scores': torch.ones(1),
        'labels': torch.zeros(1, dtype=torch.long),
        'masks': torch.ones(1, height, width, dtype=torch.bool),
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        _explained('val_evaluator'),
    ):
        # Else the metric makes a folder, which it leaves when it fails.
        where = {'outfile_prefix': f'{folder}/results'}
        metric = METRICS.build({**cfg.val_evaluator, **where})
        metric.dataset_meta = dataset.metainfo
        entry = {'img_id': sample.img_id, 'ori_shape': sample.ori_shape}
        metric.process({}, [entry | {'pred_instances': found}])
        metric.evaluate(1)


@contextlib.contextmanager
def _explained(what: str, hint: str = '') -> Iterator[None]:
    try:
        yield
    # Whatever a data set, a transform or the metric raises.
    except Exception as error:
        raise ConfigError(
            f'the detector cannot use {what}: {type(error).__name__}: '
            f'{error}.{hint}'
        ) from error
