"""Log the last and the best validation result of a run side by side."""

import json
from collections.abc import Sequence
from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...utils.durable_files import write_json
from ...utils.errors import UserError
from ..runner.training import is_training


@HOOKS.register_module()
class BestAndLastHook(Hook):
    """Report a metric after the last epoch and at its best epoch.

    Published linear evaluations often give the best epoch on the very set
    that it is chosen on; the last epoch is free of that choice. Both are
    logged and written to ``best_and_last.json`` in the work directory after
    every validation, with all values, from which a resumed run goes on.

    Args:
        metrics: Names of metrics, as the evaluator logs them. The largest
            value is the best.
    """

    def __init__(self, metrics: Sequence[str] = ('accuracy/top1',)) -> None:
        self._history: dict[str, list[list[float]]] = {
            name: [] for name in metrics
        }

    def before_train(self, runner: Runner) -> None:
        """Read the epochs before the one that a resumed run begins with."""
        path = self._path(runner)
        if runner.epoch > 0 and path.is_file():
            for name, summary in json.loads(path.read_text()).items():
                if name in self._history:
                    self._history[name] = [
                        entry
                        for entry in summary['history']
                        if entry[0] <= runner.epoch
                    ]

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        """Add the epoch."""
        # Validation alone has no epochs.
        if not is_training(runner):
            return
        metrics = metrics or {}
        for name, history in self._history.items():
            if name not in metrics:
                raise UserError(
                    f'BestAndLastHook: the evaluator gives no {name!r}, but '
                    f'{", ".join(metrics) or "nothing"}'
                )
            history.append([runner.epoch, float(metrics[name])])
        self._report(runner)

    @master_only
    def _report(self, runner: Runner) -> None:
        summary = {}
        for name, history in self._history.items():
            # Of equal values the first is the best.
            best_epoch, best = max(history, key=lambda entry: entry[1])
            last_epoch, last = history[-1]
            summary[name] = {
                'last': last,
                'last_epoch': last_epoch,
                'best': best,
                'best_epoch': best_epoch,
                'history': history,
            }
            runner.logger.info(
                f'{name}: last {last:.2f} (epoch {last_epoch}), best '
                f'{best:.2f} (epoch {best_epoch})'
            )
        write_json(self._path(runner), summary)

    @staticmethod
    def _path(runner: Runner) -> Path:
        return Path(runner.work_dir) / 'best_and_last.json'
