"""Where do the images of training and evaluation come from?

The data sets, their sampler and the replacement of unreadable files are here;
``images`` makes an array of a file, ``views`` makes views of an array, and
``labels`` reads and writes files of labels.
Importing this room registers all of them.
"""

from ..utils.errors import UnreadableImageError
from .cifar import CIFAR10BGR, CIFAR100BGR
from .imagenet import IMAGENET100_IDS, ImageNet1k, ImageNet100
from .images.decoding import decode_image
from .images.image_cache import ImageCache, StaleCacheError, build_cache
from .images.loading import LoadCachedImage, LoadImage
from .images.regions import CutRegion
from .labelled_images import LabelledImages
from .replacement import ReplaceUnreadable
from .samplers import SampleIndex, SeededSampler
from .stl10 import STL10
from .unlabelled_images import UnlabelledImages
from .views.augmentations import (
    AUGMENTATIONS,
    Augmentation,
    build_augmentation,
)
from .views.sce_views import SCEViews
from .views.view_params import ViewParams, apply_params, draw_params

__all__ = [
    'AUGMENTATIONS',
    'CIFAR10BGR',
    'CIFAR100BGR',
    'IMAGENET100_IDS',
    'STL10',
    'Augmentation',
    'CutRegion',
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
