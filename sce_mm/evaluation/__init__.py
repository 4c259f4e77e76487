"""Are the features any good? Frozen features, kNN and published protocols.

The protocols that fit classifiers are in :mod:`sce_mm.evaluation.protocols`;
they need scikit-learn.
"""

from .features import extract_features, image_features, select_backbone
from .images import crop_pipeline
from .knn import evaluate_knn, knn_accuracy, knn_predict
from .neighbours import nearest

__all__ = [
    'crop_pipeline',
    'evaluate_knn',
    'extract_features',
    'image_features',
    'knn_accuracy',
    'knn_predict',
    'nearest',
    'select_backbone',
]
