"""Published protocols that fit classifiers to frozen features.

All of them need scikit-learn.
"""

from ...utils.optional_imports import imported

imported('sklearn', 'scikit-learn')
