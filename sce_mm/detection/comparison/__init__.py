"""What is compared where detectors train on labels in COCO format?

:class:`Detection` is the task of ``sce_mm.comparison``; ``labels.py`` points
a detector at the user's labels, ``examples.py`` draws what it finds.
"""

from .task import Detection

__all__ = ['Detection']
