"""Views, image files and data sets; importing this registers them."""

from .augmentations import AUGMENTATIONS, Augmentation, build_augmentation
from .decoding import UnreadableImageError, decode_image
from .loading import LoadImage
from .samplers import SampleIndex, SeededSampler
from .unlabelled_images import UnlabelledImages
from .view_params import ViewParams, apply_params, draw_params
from .views import SCEViews

__all__ = [
    'AUGMENTATIONS',
    'Augmentation',
    'LoadImage',
    'SCEViews',
    'SampleIndex',
    'SeededSampler',
    'UnlabelledImages',
    'UnreadableImageError',
    'ViewParams',
    'apply_params',
    'build_augmentation',
    'decode_image',
    'draw_params',
]
