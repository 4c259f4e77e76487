"""Evaluation of representations: features, kNN, linear probe."""

from .evaluate import evaluate_knn
from .features import extract_features, select_backbone
from .knn import knn_accuracy, knn_predict
from .linear_probe import LinearProbe, linear_probe
from .neighbours import nearest
from .rng import preserve_rng
from .samples import NO_LABEL, check_labels

__all__ = [
    'NO_LABEL',
    'LinearProbe',
    'check_labels',
    'evaluate_knn',
    'extract_features',
    'knn_accuracy',
    'knn_predict',
    'linear_probe',
    'nearest',
    'preserve_rng',
    'select_backbone',
]
