"""Does pretraining on my images help my detector?

``tools/compare.py`` calls :func:`compare`. Start reading at ``stages.py``,
which holds all steps in order; the other files are the parts of them:
``unlabelled.py`` (the images and their cache), ``labels.py`` (the detector on
the user's labels), ``results.py`` (what the folder holds), ``differences.py``
(more than noise?) and ``report.py`` (the page).
"""

from .stages import Comparison, compare

__all__ = ['Comparison', 'compare']
