"""What is compared where segmentors train on folders of masks?

:class:`Segmentation` is the task of ``sce_mm.comparison``; ``labels.py``
points a segmentor at the user's masks, ``examples.py`` draws what it
predicts.
"""

from .task import Segmentation

__all__ = ['Segmentation']
