"""The numbers of each experiment, as published: what the recipes must build.

From the released code of the authors and of ReSSL, and where neither has the
experiment from what the header of the recipe calls unverified. Not taken from
our configs.
"""

from typing import Any, NamedTuple

LARS = {'momentum': 0.9, 'weight_decay': 1e-6, 'trust_coefficient': 1e-3}
SGD = {'momentum': 0.9, 'weight_decay': 5e-4, 'nesterov': False}
IN1K, IN100, CIFAR, STL, TINY = 1_281_167, 126_689, 50_000, 100_000, 100_000


class Expected(NamedTuple):
    """One experiment: batch, optimiser, schedules, loss, queue."""

    images: int
    batch: int
    epochs: int
    lr: float
    optimizer: dict[str, Any]
    warmup: int
    # Decay of the momentum encoder at the start and at the end.
    decay: tuple[float, float]
    target_temperature: float
    coeff: float
    queue: tuple[int, int]


SYMMETRIC = Expected(
    IN1K, 4096, 200, 4.8, LARS, 10, (0.99, 1.0), 0.07, 0.5, (65536, 256)
)
SMALL = Expected(
    CIFAR, 256, 200, 0.06, SGD, 5, (0.99, 0.99), 0.05, 0.5, (4096, 128)
)
ASYMMETRIC = Expected(
    IN1K,
    512,
    200,
    0.3,
    SGD | {'weight_decay': 1e-4},
    5,
    (0.999, 0.999),
    0.05,
    0.5,
    (65536, 256),
)
MEDIUM = SMALL._replace(images=STL, decay=(0.996, 0.996), queue=(16384, 128))
IMAGENET = 'sce_resnet50_8xb512-amp-coslr-{}e_in1k'
CROPS = 'sce_resnet50_16xb256-amp-mcrop-coslr-200e_in1k'
CIFAR10 = 'sce_resnet18_1xb256-amp-coslr-200e_cifar10'
ASYM_IN1K = 'sce_resnet50_8xb64-amp-asym-coslr-200e_in1k'
RESSL_IN1K = 'ressl_resnet50_8xb32-asym-coslr-200e_in1k'
TABLE = {
    IMAGENET.format(100): SYMMETRIC._replace(epochs=100, lr=9.6),
    IMAGENET.format(200): SYMMETRIC,
    IMAGENET.format(300): SYMMETRIC._replace(epochs=300),
    IMAGENET.format(1000): SYMMETRIC._replace(
        epochs=1000, optimizer=LARS | {'weight_decay': 1.5e-6}
    ),
    CROPS: SYMMETRIC,
    ASYM_IN1K: ASYMMETRIC,
    ASYM_IN1K.replace('in1k', 'in100'): ASYMMETRIC._replace(images=IN100),
    RESSL_IN1K: ASYMMETRIC._replace(
        batch=256,
        lr=0.05,
        target_temperature=0.04,
        coeff=0.0,
        queue=(131072, 512),
    ),
    CIFAR10: SMALL,
    CIFAR10.replace('10', '100'): SMALL,
    CIFAR10.replace('cifar10', 'stl10'): MEDIUM,
    CIFAR10.replace('cifar10', 'tinyimagenet'): MEDIUM._replace(images=TINY),
}

# Named augmentation: probability of jitter, its four strengths, probability
# of grey, of blur, of solarisation. The flip is 0.5 and the crop certain.
AUGMENTATIONS = {
    'weak': (0, 0, 0, 0, 0, 0, 0, 0),
    'strong': (0.8, 0.4, 0.4, 0.4, 0.1, 0.2, 0.5, 0),
    # The pair of the released code for ImageNet.
    'strong, saturation 0.2': (0.8, 0.4, 0.4, 0.2, 0.1, 0.2, 0.5, 0),
    'strong_alpha': (0.8, 0.4, 0.4, 0.2, 0.1, 0.2, 1.0, 0),
    'strong_beta': (0.8, 0.4, 0.4, 0.2, 0.1, 0.2, 0.1, 0.2),
    'strong_gamma': (0.8, 0.4, 0.4, 0.2, 0.1, 0.2, 0.5, 0.2),
}
TWO = [
    ('strong_alpha', 224, (0.2, 1.0)),
    ('strong_beta', 224, (0.2, 1.0)),
]
LOCAL = [
    ('strong_gamma', 192, (0.172, 0.86)),
    ('strong_gamma', 160, (0.143, 0.715)),
    ('strong_gamma', 128, (0.114, 0.571)),
    ('strong_gamma', 96, (0.086, 0.429)),
]


def weak_and_strong(size, strong='strong'):
    return [('weak', size, (0.2, 1.0)), (strong, size, (0.2, 1.0))]


VIEWS = {
    **{IMAGENET.format(e): TWO for e in (100, 200, 300, 1000)},
    CROPS: TWO + LOCAL,
    ASYM_IN1K: weak_and_strong(224, 'strong, saturation 0.2'),
    ASYM_IN1K.replace('in1k', 'in100'): weak_and_strong(
        224, 'strong, saturation 0.2'
    ),
    RESSL_IN1K: weak_and_strong(224),
    CIFAR10: weak_and_strong(32),
    CIFAR10.replace('10', '100'): weak_and_strong(32),
    CIFAR10.replace('cifar10', 'stl10'): weak_and_strong(64),
    CIFAR10.replace('cifar10', 'tinyimagenet'): weak_and_strong(64),
}
