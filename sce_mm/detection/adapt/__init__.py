"""How does a detector's config change for self-supervised weights?

Start reading at :func:`adapt`, which ``sce detector`` lets
``sce_mm.downstream`` call. What other dense predictors need as well is there;
each other file makes one kind of change that only detectors need.
"""

from .detector import adapt

__all__ = ['adapt']
