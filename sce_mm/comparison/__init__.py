"""Does pretraining on my images help my detector, or my segmentor?

``sce compare`` calls ``compare(settings, Detection(settings))`` with its
:class:`Settings`, as other code can. The second is a :class:`Task`, which says
what is trained, on which labels, and how it is measured. Start reading at
``comparison.py``, which holds the order of all; the other files are parts:
``settings.py`` (what is asked for), ``task.py`` (what differs between
detectors and segmentors), ``pretraining.py`` (what predictors start from),
``unlabelled.py`` (the images and their cache), ``preparation.py`` (what is
tried before the hours), ``training.py`` (the commands of a step),
``results.py`` (what the folder holds), ``differences.py`` (more than noise?)
and ``report.py`` (the page).
"""

from .comparison import Comparison, compare
from .settings import Settings, Variant
from .task import Measure, Task

__all__ = ['Comparison', 'Measure', 'Settings', 'Task', 'Variant', 'compare']
