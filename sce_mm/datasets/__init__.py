"""Views, image files and data sets; importing this registers them."""

from .augmentations import AUGMENTATIONS, Augmentation, build_augmentation
from .cache_building import build_cache
from .cifar import CIFAR10BGR, CIFAR100BGR
from .decoding import UnreadableImageError, decode_image
from .image_cache import ImageCache, StaleCacheError
from .imagenet import ImageNet1k, ImageNet100
from .imagenet100_ids import IMAGENET100_IDS
from .labelled_images import LabelledImages
from .loading import LoadCachedImage, LoadImage
from .replacement import ReplaceUnreadable
from .samplers import SampleIndex, SeededSampler
from .stl10 import STL10
from .unlabelled_images import UnlabelledImages
from .view_params import ViewParams, apply_params, draw_params
from .views import SCEViews

__all__ = [
    'AUGMENTATIONS',
    'CIFAR10BGR',
    'CIFAR100BGR',
    'IMAGENET100_IDS',
    'STL10',
    'Augmentation',
    'ImageCache',
    'ImageNet1k',
    'ImageNet100',
    'LabelledImages',
    'LoadCachedImage',
    'LoadImage',
    'ReplaceUnreadable',
    'SCEViews',
    'SampleIndex',
    'SeededSampler',
    'StaleCacheError',
    'UnlabelledImages',
    'UnreadableImageError',
    'ViewParams',
    'apply_params',
    'build_augmentation',
    'build_cache',
    'decode_image',
    'draw_params',
]
