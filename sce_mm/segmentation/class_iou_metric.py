"""The IoU of each class, in the log beside the mean of them.

mmseg prints the IoU of each class as a table of text and returns the mean
alone, so a comparison of classes would have to read a drawn table.
"""

from typing import Any

from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS


@METRICS.register_module()
class ClassIoUMetric(IoUMetric):
    r"""mmseg's metric, which logs ``IoU/NAME`` of each class as well.

    .. math:: \mathrm{IoU}_c = 100 \, \frac{\sum_i |P_{ic} \cap L_{ic}|}
        {\sum_i |P_{ic} \cup L_{ic}|}

    over the pixels :math:`P_{ic}` that are given class c in image i and those
    :math:`L_{ic}` that have it in the labels; NaN for a class that neither
    has. Arguments are those of ``IoUMetric``.
    """

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute the metrics of all images.

        Args:
            results: For each image the areas of intersection, union,
                prediction and label, each ``[number of classes]``.

        Returns:
            Metrics in per cent, by name.
        """
        found: dict[str, Any] = dict(super().compute_metrics(results))
        if self.format_only:
            return found
        intersection, union = (
            sum(areas) for areas in list(zip(*results, strict=True))[:2]
        )
        ious = (100 * intersection / union).tolist()
        names = self.dataset_meta['classes']
        return found | {
            f'IoU/{name}': iou for name, iou in zip(names, ious, strict=True)
        }
