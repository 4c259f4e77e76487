"""Evaluation of representations: features, kNN, linear probe."""

from ..utils.random_state import preserve_rng
from .features import extract_features, select_backbone
from .knn import knn_accuracy, knn_predict
from .knn_evaluation import evaluate_knn
from .neighbours import nearest
from .protocols.linear_probe import LinearProbe, linear_probe
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
