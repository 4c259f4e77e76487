"""A data preprocessor that makes the views on the device of the model."""

from typing import Any

from mmpretrain.models import SelfSupDataPreprocessor
from mmpretrain.registry import MODELS
from torch import Tensor

from ...datasets.views.batch_views import make_views


@MODELS.register_module()
class ViewPreprocessor(SelfSupDataPreprocessor):
    """Views, order of channels and normalisation on the model's device.

    For ``SCEViews(deferred=True)``, which sends each image with the
    parameters of its views, and ``collate_fn=dict(type='pseudo_collate')``,
    as images differ in size. Everything else, evaluations for example, is
    treated as by the base class, whose arguments it takes.
    """

    def forward(self, data: dict, training: bool = False) -> dict[str, Any]:
        """Views ``[N, 3, size, size]``, normalised, in a list.

        Args:
            data: ``inputs`` are N images [3, h, w] uint8 BGR and N parameter
                tensors [V, R], or whatever the base class takes.
            training: See the base class.
        """
        inputs = data['inputs']
        # Views have a dimension more than images and parameters.
        if (
            not isinstance(inputs, Tensor)
            and len(inputs) == 2
            and inputs[1][0].ndim == 2
        ):
            images, params = inputs
            views = make_views(self.cast_data(images), params)
            return {
                'inputs': [self._normalised(view) for view in views],
                'data_samples': self.cast_data(data['data_samples']),
            }
        return super().forward(data, training)

    def _normalised(self, view: Tensor) -> Tensor:
        """As the base class does it, which orders the channels by a list.

        A list goes to the device of the view by a copy that the host waits
        for.
        """
        if self._channel_conversion:
            view = view.flip(1)
        if self._enable_normalize:
            view = (view - self.mean) / self.std
        return view
