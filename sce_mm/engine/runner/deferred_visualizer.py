"""DeferredVisualizer: its figure is made when something is drawn."""

from collections.abc import Callable
from functools import cache
from typing import Any

from mmpretrain.registry import VISUALIZERS
from mmpretrain.visualization import UniversalVisualizer

# matplotlib's own, unless the config says something else.
_DPI = 100


@VISUALIZERS.register_module()
class DeferredVisualizer(UniversalVisualizer):
    """mmpretrain's visualizer, which draws the same, but starts at once.

    A pretraining writes numbers and draws nothing. Without a figure it does
    not import matplotlib, which takes half a second of each process.
    """

    def _initialize_fig(self, fig_cfg: dict[str, Any]) -> tuple[Any, ...]:
        cfg = {'dpi': _DPI, **fig_cfg}
        initialize = super()._initialize_fig

        @cache
        def made() -> tuple[Any, ...]:
            return initialize(cfg)

        return tuple(_Later(made, place, cfg['dpi']) for place in range(3))


class _Later:
    """Stands for the canvas, the figure or the axes that will be made."""

    def __init__(
        self, made: Callable[[], tuple[Any, ...]], place: int, dpi: float
    ) -> None:
        self._made, self._place, self._dpi = made, place, dpi

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made()[self._place], name)

    def get_dpi(self) -> float:
        """Dots per inch of the figure; a visualizer asks when it is made."""
        return self._dpi
