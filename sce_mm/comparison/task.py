"""What a comparison asks of a task: its labels, its configs, its metric.

A dense predictor is a detector of mmdet or a segmentor of mmseg. Starts,
pretrainings, seeds, schedules, jobs, statistics and the page are those of
this room; what labels, configs and measured values differ in is a
:class:`Task` of ``sce_mm.detection`` or ``sce_mm.segmentation``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from ..checkpoints.reading import read_checkpoint
from ..config.reading import override
from ..downstream import BackboneFile, ConfigEdits
from .results import Results
from .settings import Settings

if TYPE_CHECKING:
    from .comparison import Comparison
    from .summary import Facts


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
        settings: The argument.
        config: Config of the predictor: a path, or ``package::name``.
        options: Overrides of every training, ``KEY=VALUE``.
        classes: Names of the classes, once :meth:`read` was called.
    """

    predictor: ClassVar[str]
    scope: ClassVar[str]
    maker: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.config = settings.predictor
        self.options = settings.predictor_options
        self.classes: list[str] = []

    def trained(self, config: Path, checkpoint: str) -> Any:
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

    @property
    @abstractmethod
    def train_images(self) -> int:
        """Number of the labelled training images."""

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

    @abstractmethod
    def check(self, cfg: Config, labels: Sequence[Path]) -> dict[Path, int]:
        """Find what would end a training or its evaluation.

        Args:
            cfg: Config on the labels; the overrides are written into it.
            labels: Files of the labels of the trainings.

        Returns:
            How many batches an epoch has, by the file of labels.

        Raises:
            ConfigError: The config, a data set or the metric does not work.
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
        """What ``classes`` of a result are."""

    @abstractmethod
    def examples(
        self, comparison: Comparison, results: Results, facts: Facts
    ) -> list[str]:
        """Section of the page: labels and predictions in images."""
