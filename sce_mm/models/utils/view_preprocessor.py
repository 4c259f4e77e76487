"""A data preprocessor for views, made by workers or on the model's device."""

from typing import Any

from mmpretrain.models import SelfSupDataPreprocessor
from mmpretrain.registry import MODELS
from torch import Tensor

from ...datasets.views.batch_views import make_views


@MODELS.register_module()
class ViewPreprocessor(SelfSupDataPreprocessor):
    """Order of channels and normalisation, without a wait for the device.

    It takes the arguments of its base class, and with ``non_blocking=True``
    no step waits for the copy of its images either. The base class orders
    channels by a list, which goes to the device by a copy that the host waits
    for.

    With ``SCEViews(deferred=True)``, which sends each image with the
    parameters of its views, and ``collate_fn=dict(type='pseudo_collate')``,
    as images differ in size, it makes the views too. A tensor of images, as
    evaluations have it, is treated as by the base class.
    """

    def forward(self, data: dict, training: bool = False) -> dict[str, Any]:
        """Views ``[N, 3, size, size]``, normalised, in a list.

        Args:
            data: ``inputs`` are V views ``[N, 3, size, size]``, or N images
                [3, h, w] uint8 BGR and N parameter tensors [V, R], or
                whatever the base class takes.
            training: See the base class.
        """
        inputs = data['inputs']
        if isinstance(inputs, Tensor):
            return super().forward(data, training)
        # Views have a dimension more than images and parameters.
        if len(inputs) == 2 and inputs[1][0].ndim == 2:
            images, params = inputs
            views = make_views(self.cast_data(images), params)
        else:
            views = self.cast_data(inputs)
        return {
            'inputs': [self._normalised(view) for view in views],
            'data_samples': self.cast_data(data['data_samples']),
        }

    def _normalised(self, view: Tensor) -> Tensor:
        if self._channel_conversion:
            view = view.flip(1)
        view = view.float()
        if self._enable_normalize:
            view = (view - self.mean) / self.std
        return view
