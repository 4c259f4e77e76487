"""Does pretraining on my images help my detector, or my segmentor?

``sce compare`` calls :func:`compare` with :class:`Settings` and a
:class:`Task`, which says what is trained, on which labels, and how it is
measured. Start reading at ``comparison.py``, which holds all steps in order;
the other files are parts of them: ``settings.py`` (what is asked for),
``unlabelled.py`` (the images and their cache), ``task.py`` (what differs
between detectors and segmentors), ``results.py`` (what the folder holds),
``differences.py`` (more than noise?) and ``report.py`` (the page).
"""

from .comparison import Comparison, compare
from .settings import Settings, Variant
from .task import Measure, Task

__all__ = ['Comparison', 'Measure', 'Settings', 'Task', 'Variant', 'compare']
