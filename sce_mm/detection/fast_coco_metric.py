"""mmdet's COCO metric, evaluated in C++ by faster-coco-eval."""

from typing import Any

from mmdet.evaluation.metrics import CocoMetric, coco_metric
from mmdet.registry import METRICS

from ..utils.errors import UserError

try:
    from faster_coco_eval import COCOeval_faster
except ImportError:
    # Reported when a metric is built, as few configs want one.
    COCOeval_faster = object


class FastEvaluator(COCOeval_faster):
    """The evaluator of faster-coco-eval with pycocotools' mean AP.

    That is taken at 100 detections an image whatever other numbers are
    asked for, theirs at the largest of these: mmdet asks for 1000.
    """

    def summarize(self) -> None:
        """Compute ``stats``."""
        super().summarize()
        at = [i for i, m in enumerate(self.params.maxDets) if m == 100]
        # Threshold, recall, class, area (all), detections; -1 for none.
        precision = self.eval['precision'][:, :, :, 0, at]
        known = precision[precision > -1]
        self.stats[0] = known.mean() if known.size else -1.0


@METRICS.register_module()
class FastCocoMetric(CocoMetric):
    """``CocoMetric`` that computes the same numbers by faster-coco-eval.

    Ground truth, format of the results, names and rounding are those of the
    base class, whose arguments it takes, except ``use_mp_eval``.

    Raises:
        ImportError: faster-coco-eval is not installed.
        UserError: ``use_mp_eval``, which asks for another evaluator.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Here, since the first evaluation comes after an epoch of training.
        if COCOeval_faster is object:
            raise ImportError(
                'FastCocoMetric needs faster-coco-eval: pip install '
                "faster-coco-eval, or use type='CocoMetric', which gives the "
                'same numbers'
            )
        super().__init__(*args, **kwargs)
        if self.use_mp_eval:
            raise UserError(
                'use_mp_eval=True asks for an evaluator of several processes, '
                'FastCocoMetric has one of its own: leave use_mp_eval out'
            )

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Metrics of all processed results."""
        # The base class takes the evaluator from its module, and offers no
        # other place to change it.
        original = coco_metric.COCOeval
        coco_metric.COCOeval = FastEvaluator
        try:
            return super().compute_metrics(results)
        finally:
            coco_metric.COCOeval = original
