"""Does pretraining on my images help my detector?

``tools/compare.py`` calls :func:`compare`. Start reading at ``stages.py``,
which holds all steps in order; the other files are the parts of them:
``inputs.py`` (may this folder be used again?), ``labels.py`` (the detector on
the user's labels), ``detector_check.py`` (does it work at all?),
``results.py`` (what a training reached), ``differences.py`` (more than
noise?) and ``report.py`` (the page).
"""

from .stages import Comparison, compare

__all__ = ['Comparison', 'compare']
