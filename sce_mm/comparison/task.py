"""What a comparison asks of a task: its labels, its configs, its metric.

A dense predictor is a detector of mmdet or a segmentor of mmseg. Starts,
pretrainings, seeds, schedules, jobs, statistics and the page are those of
this room; what labels, configs and measured values differ in is a
:class:`Task` of ``sce_mm.detection`` or ``sce_mm.segmentation``.
"""

from __future__ import annotations

import contextlib
import copy
import io
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner

from ..checkpoints.reading import read_checkpoint
from ..config.check import check_config
from ..config.errors import ConfigError
from ..config.overrides import override
from ..config.parts import innermost_dataset
from ..downstream import AdaptError, BackboneFile, ConfigEdits
from ..downstream.edits import build
from ..utils.errors import UserError
from ..utils.progress import errors_alone
from ..utils.text import counted
from .results import Results
from .settings import Settings


class Measure(NamedTuple):
    """The value by which starts are compared, in per cent.

    Attributes:
        name: What results and the page call it, such as ``box AP``.
        predictor: What it is measured of, such as ``detector``.
        least: A predictor below it has learned nothing to compare.
        step: What its log rounds it to.
        note: What ``learned`` comes from, for the reader of the page.
    """

    name: str
    predictor: str
    least: float
    step: float
    note: str = ''

    def of(self, results: Results, source: str, percent: float) -> list[float]:
        """The value of each seed."""
        return [run[self.name] for run in results[source][percent]]


class Task(ABC):
    """What predictors learn from labels, and how that is measured.

    Args:
        settings: What the comparison is asked for.

    Attributes:
        predictor: What is trained; also the name of its options.
        scope: Where the names of its config are registered.
        maker: The tool that makes its config.
        columns: Values of the table of the page, where runs have them.
        predictions: What it gives of an image, as a word.
        settings: The argument.
        config: Config of the predictor: a path, or ``package::name``.
        options: Overrides of every training, ``KEY=VALUE``.
        classes: Names of the classes, once :meth:`read` was called.
    """

    predictor: ClassVar[str]
    scope: ClassVar[str]
    maker: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    predictions: ClassVar[str]

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.config = settings.predictor
        self.options = settings.predictor_options
        self.classes: list[str] = []

    @property
    def overridden(self) -> Path:
        """Config on the labels with all overrides, once it is written.

        Those who cut regions see in it how large objects are to the predictor.
        """
        return self.settings.out / f'{self.predictor}.py'

    def trained(self, config: Path, checkpoint: Path) -> Any:
        """A trained predictor for predictions, on the CPU.

        Args:
            config: Config of its training, without the overrides.
            checkpoint: Its weights.

        Returns:
            The model; its ``cfg`` is the config with the overrides.
        """
        cfg = Config.fromfile(config)
        override(cfg, self.options, f'--{self.predictor}-options')
        cfg.model.backbone.pop('init_cfg', None)
        with DefaultScope.overwrite_default_scope(self.scope):
            model: Any = MODELS.build(cfg.model).eval()
        model.load_state_dict(read_checkpoint(checkpoint)['state_dict'])
        model.cfg = cfg
        return model

    @property
    @abstractmethod
    def measure(self) -> Measure:
        """The value by which starts are compared."""

    @abstractmethod
    def train_images(self) -> list[str]:
        """Paths of the labelled training images."""

    @property
    @abstractmethod
    def objects(self) -> float:
        """Objects in a labelled image, on average; 0 if none are labelled."""

    @property
    def boxes(self) -> dict[str, Any] | None:
        """Labels in COCO format that ``--regions auto`` goes by, if any."""
        return None

    @abstractmethod
    def val_images(self) -> list[str]:
        """Paths of the validation images."""

    @abstractmethod
    def read(self) -> list[str]:
        """Read the labels, and list all that is wrong with them."""

    @abstractmethod
    def notes(self) -> Iterator[str]:
        """What the user should know of labels that are not wrong."""

    @abstractmethod
    def inputs(self) -> dict[str, Any]:
        """What decides results beside the config, by its option."""

    @abstractmethod
    def use_labels(self, edits: ConfigEdits) -> None:
        """Point a predictor's config at the labels.

        Raises:
            AdaptError: It cannot be changed to them.
        """

    @abstractmethod
    def adapt(
        self, cfg: Config, file: BackboneFile
    ) -> tuple[ConfigEdits, str]:
        """Change the config so that it uses a backbone file rightly."""

    def require_other_images(self) -> None:
        """Check that nothing is measured on the images that are trained on.

        Raises:
            UserError: A file is one of both.
        """
        trained = set(map(os.path.realpath, self.train_images()))
        val = self.val_images()
        if both := [x for x in val if os.path.realpath(x) in trained]:
            raise UserError(
                f'--val: {len(both)} of {counted(len(val), "image")} are also '
                f'in --train, such as {both[0]}: {self.measure.name} would be '
                'measured on what was trained on. Take images for --val that '
                'are in no other file of labels'
            )

    @staticmethod
    @abstractmethod
    def class_problems(cfg: Config) -> Iterator[str]:
        """List what is wrong with the classes of a config."""

    def check(self, cfg: Config, labels: Sequence[Path]) -> dict[Path, int]:
        """Find what would end a training or its evaluation, before hours pass.

        An image of each training is loaded, and something is evaluated.

        Args:
            cfg: Config on the labels; the overrides are written into it.
            labels: Files of the labels of the trainings.

        Returns:
            How many batches an epoch has, by the file of labels.

        Raises:
            ConfigError: The config, a data set or the metric does not work.
        """
        override(cfg, self.options, f'--{self.predictor}-options')
        check_config(cfg, also=[self.class_problems])
        if self.options:
            self._build_overridden(cfg)
        # Tables of what has not been trained would only confuse.
        with (
            errors_alone(),
            DefaultScope.overwrite_default_scope(self.scope),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            batches = {file: self._load_one(cfg, file) for file in labels}
            self.evaluate_one(cfg)
        return batches

    def _build_overridden(self, cfg: Config) -> None:
        """Build the model, which was built without the overrides before."""
        try:
            # What it advises was said when the config was made.
            with (
                warnings.catch_warnings(),
                DefaultScope.overwrite_default_scope(self.scope),
                torch.device('meta'),
            ):
                warnings.simplefilter('ignore')
                build(ConfigEdits(cfg), 'model')
        except AdaptError as error:
            raise ConfigError(
                f'--{self.predictor}-options: {error}'
            ) from error

    def _load_one(self, cfg: Config, labels: Path) -> int:
        """Load an image by the training's loader; batches of an epoch."""
        cfg = copy.deepcopy(cfg)
        key, dataset = innermost_dataset(cfg)
        dataset.ann_file = str(labels)
        kept = dataset.get('filter_cfg')
        hint = f' Images are kept by filter_cfg={dict(kept)}' if kept else ''
        with self.explained(f'{key} with {labels}', hint):
            loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
            loader.dataset[0]
            if not len(loader):
                raise UserError(
                    f'{len(loader.dataset)} images are fewer than a batch, '
                    'and drop_last leaves them out'
                )
            return len(loader)

    @contextlib.contextmanager
    def explained(self, what: str, hint: str = '') -> Iterator[None]:
        """Say which part of the predictor's config an error comes from."""
        try:
            yield
        # Whatever a data set, a transform or the metric raises.
        except Exception as error:
            raise ConfigError(
                f'the {self.predictor} cannot use {what}: '
                f'{type(error).__name__}: {error}.{hint}'
            ) from error

    @abstractmethod
    def evaluate_one(self, cfg: Config) -> None:
        """Let the metric of a config evaluate a made-up prediction.

        Raises:
            ConfigError: The data set of the validation or the metric does not
                work.
        """

    @abstractmethod
    def labels(self, percent: float, seed: int) -> Path:
        """File with a part of the labels, written if it is not there.

        It is the ``ann_file`` of a training. Parts of one seed contain the
        smaller ones.
        """

    @abstractmethod
    def metrics(
        self, logged: Mapping[str, float], cfg: Config
    ) -> dict[str, Any]:
        """Values of an evaluation, in per cent.

        Args:
            logged: What the metric wrote into the log.
            cfg: Config that was evaluated.

        Returns:
            Values by their names, and ``classes``: one of each class, None
            for a class that the validation does not have.
        """

    @abstractmethod
    def class_metric(self, run: Mapping[str, Any]) -> str:
        """Name of the metric that ``classes`` of a result holds."""

    @abstractmethod
    def examples(
        self, models: Iterable[tuple[str, Any]]
    ) -> tuple[str, str, list[str]]:
        """Draw labels and predictions in a few validation images.

        Args:
            models: Starts with a trained predictor, random initialisation
                first; to be taken one at a time.

        Returns:
            Title of the section, sentences on what is drawn, and rows of it.
        """
