"""The published numbers of each experiment, which the recipes must build.

They come from the released code of the authors and of ReSSL; where neither
has the experiment, from what the head of the recipe calls unverified. They
are not taken from our configs.
"""

from typing import Any, NamedTuple

LARS = {'momentum': 0.9, 'weight_decay': 1e-6, 'trust_coefficient': 1e-3}
SGD = {'momentum': 0.9, 'weight_decay': 5e-4, 'nesterov': False}
IN1K, IN100, CIFAR, STL, TINY = 1_281_167, 126_689, 50_000, 100_000, 100_000

# Mean and standard deviation of red, green and blue as shares of 255.
IMAGENET_PIXELS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR10_PIXELS = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
CIFAR100_PIXELS = ((0.5071, 0.4865, 0.4409), (0.2009, 0.1984, 0.2023))
STL_PIXELS = ((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616))

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
GLOBAL = (0.2, 1.0)
TWO = [('strong_alpha', 224, GLOBAL), ('strong_beta', 224, GLOBAL)]
LOCAL = [
    ('strong_gamma', 192, (0.172, 0.86)),
    ('strong_gamma', 160, (0.143, 0.715)),
    ('strong_gamma', 128, (0.114, 0.571)),
    ('strong_gamma', 96, (0.086, 0.429)),
]


def weak_and_strong(size: int, strong: str = 'strong') -> list[Any]:
    return [('weak', size, GLOBAL), (strong, size, GLOBAL)]


def mlp(*widths: int, biases: str, norms: str) -> tuple[Any, ...]:
    """Linear layers with (1) or without (0) bias, and the norms between.

    A norm has weights (1) or none (0); no digit is no norm.
    """
    layers = zip(widths[:-1], widths[1:], biases, strict=True)
    return [(i, o, b == '1') for i, o, b in layers], [n == '1' for n in norms]


class Expected(NamedTuple):
    """One experiment: batch, optimiser, schedules, loss, networks, views."""

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
    depth: int
    projector: tuple[Any, ...]
    predictor: tuple[Any, ...] | None
    views: list[Any]
    pixels: Any = IMAGENET_PIXELS


SYMMETRIC = Expected(
    images=IN1K,
    batch=4096,
    epochs=200,
    lr=4.8,
    optimizer=LARS,
    warmup=10,
    decay=(0.99, 1.0),
    target_temperature=0.07,
    coeff=0.5,
    queue=(65536, 256),
    depth=50,
    projector=mlp(2048, 2048, 2048, 256, biases='000', norms='110'),
    predictor=mlp(256, 4096, 256, biases='00', norms='1'),
    views=TWO,
)
ASYMMETRIC = Expected(
    images=IN1K,
    batch=512,
    epochs=200,
    lr=0.3,
    optimizer=SGD | {'weight_decay': 1e-4},
    warmup=5,
    decay=(0.999, 0.999),
    target_temperature=0.05,
    coeff=0.5,
    queue=(65536, 256),
    depth=50,
    projector=mlp(2048, 4096, 256, biases='11', norms=''),
    predictor=None,
    views=weak_and_strong(224, 'strong, saturation 0.2'),
)
SMALL = Expected(
    images=CIFAR,
    batch=256,
    epochs=200,
    lr=0.06,
    optimizer=SGD,
    warmup=5,
    decay=(0.99, 0.99),
    target_temperature=0.05,
    coeff=0.5,
    queue=(4096, 128),
    depth=18,
    projector=mlp(512, 512, 128, biases='01', norms='1'),
    predictor=None,
    views=weak_and_strong(32),
    pixels=CIFAR10_PIXELS,
)
MEDIUM = SMALL._replace(
    images=STL,
    decay=(0.996, 0.996),
    queue=(16384, 128),
    views=weak_and_strong(64),
    pixels=STL_PIXELS,
)
IMAGENET = 'sce_resnet50_8xb512-amp-coslr-{}e_in1k'
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
    'sce_resnet50_16xb256-amp-mcrop-coslr-200e_in1k': SYMMETRIC._replace(
        projector=mlp(2048, 4096, 4096, 256, biases='000', norms='110'),
        views=TWO + LOCAL,
    ),
    ASYM_IN1K: ASYMMETRIC,
    ASYM_IN1K.replace('in1k', 'in100'): ASYMMETRIC._replace(images=IN100),
    RESSL_IN1K: ASYMMETRIC._replace(
        batch=256,
        lr=0.05,
        target_temperature=0.04,
        coeff=0.0,
        queue=(131072, 512),
        projector=mlp(2048, 4096, 512, biases='11', norms=''),
        views=weak_and_strong(224),
    ),
    CIFAR10: SMALL,
    CIFAR10.replace('10', '100'): SMALL._replace(pixels=CIFAR100_PIXELS),
    CIFAR10.replace('cifar10', 'stl10'): MEDIUM,
    CIFAR10.replace('cifar10', 'tinyimagenet'): MEDIUM._replace(
        images=TINY, pixels=IMAGENET_PIXELS
    ),
}
