"""Images per second of the two-view pipeline, against named peers.

Each pipeline reads the same JPEG files from disk, makes the two 224-pixel
views of the ImageNet recipe (strong-alpha and strong-beta) and packs them as
uint8 tensors, on one core. Repetitions are interleaved, so that other load
on the machine falls on all of them alike; medians and ratios are printed.

    python tools/benchmarks/views_speed.py --json views.json
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import mmpretrain
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import TRANSFORMS
from PIL import Image, ImageFilter, ImageOps
from sklearn.datasets import load_sample_images
from torchvision import transforms

import sce_mm.datasets  # noqa: F401 (registers the transforms)

Pipeline = Callable[[str], object]
_MMPRETRAIN_VIEWS = '.mim/configs/_base_/datasets/imagenet_bs512_mocov3.py'


def main() -> None:
    """Measure every pipeline and print the table."""
    args = parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    init_default_scope('mmpretrain')
    pipelines = {
        'sce_mm': sce_mm_pipeline(),
        'mmpretrain': mmpretrain_pipeline(),
        'torchvision, PIL blur': torchvision_pipeline(_PILBlur()),
        'torchvision, tensor blur': torchvision_pipeline(
            transforms.GaussianBlur(23, (0.1, 2.0))
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        files = photographs(Path(folder), args.width, args.height)
        rates = measure(pipelines, files, args.images, args.repeats)
    report = {
        'machine': platform.processor() or platform.machine(),
        'versions': {
            'python': platform.python_version(),
            'torch': torch.__version__,
            'opencv': cv2.__version__,
            'mmpretrain': mmpretrain.__version__,
        },
        'photographs': [args.width, args.height],
        'images_per_second': rates,
        'ratio_of_sce_mm': {
            name: rates['sce_mm'] / rate for name, rate in rates.items()
        },
    }
    for name, rate in rates.items():
        ratio = report['ratio_of_sce_mm'][name]
        print(f'{name:26s} {rate:7.0f} images/s   sce_mm is {ratio:.2f} x')
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + '\n')


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--images', type=int, default=100, help='a repeat')
    parser.add_argument('--repeats', type=int, default=7)
    parser.add_argument('--width', type=int, default=500)
    parser.add_argument('--height', type=int, default=375)
    parser.add_argument('--json', type=Path, help='write the figures here')
    return parser.parse_args()


def photographs(folder: Path, width: int, height: int) -> list[str]:
    """scikit-learn's photographs as JPEG files of the size asked for."""
    files = []
    for number, rgb in enumerate(load_sample_images().images):
        image = ImageOps.fit(Image.fromarray(rgb), (width, height))
        files.append(str(folder / f'{number}.jpg'))
        image.save(files[-1], quality=90)
    return files


def measure(
    pipelines: dict[str, Pipeline],
    files: Sequence[str],
    images: int,
    repeats: int,
) -> dict[str, float]:
    """Median images per second of each pipeline."""
    seconds: dict[str, list[float]] = {name: [] for name in pipelines}
    for _ in range(repeats + 1):
        for name, pipeline in pipelines.items():
            start = time.perf_counter()
            for number in range(images):
                pipeline(files[number % len(files)])
            seconds[name].append(time.perf_counter() - start)
    # The first repetition warms up.
    return {
        name: images / statistics.median(values[1:])
        for name, values in seconds.items()
    }


def sce_mm_pipeline() -> Pipeline:
    """Our loader and views."""
    return _mm_pipeline(
        [
            dict(type='LoadImage'),
            dict(
                type='SCEViews',
                views=[
                    dict(augmentation='strong_alpha'),
                    dict(augmentation='strong_beta'),
                ],
            ),
            dict(type='PackInputs'),
        ]
    )


def mmpretrain_pipeline() -> Pipeline:
    """The pipeline of mmpretrain's own MoCo-v3 recipe: the same views."""
    folder = Path(mmpretrain.__file__).parent
    config = Config.fromfile(folder / _MMPRETRAIN_VIEWS)
    return _mm_pipeline(config.train_pipeline)


def torchvision_pipeline(blur: Callable[..., object]) -> Pipeline:
    """torchvision's transforms on PIL images."""
    first, second = (
        transforms.Compose(
            [
                transforms.RandomResizedCrop(224, scale=(0.2, 1.0)),
                transforms.RandomApply(
                    [transforms.ColorJitter(0.4, 0.4, 0.2, 0.1)], p=0.8
                ),
                transforms.RandomGrayscale(p=0.2),
                transforms.RandomApply([blur], p=blur_prob),
                transforms.RandomSolarize(128, p=solarise_prob),
                transforms.RandomHorizontalFlip(),
                transforms.PILToTensor(),
            ]
        )
        for blur_prob, solarise_prob in ((1.0, 0.0), (0.1, 0.2))
    )

    def pipeline(path: str) -> object:
        with Image.open(path) as image:
            rgb = image.convert('RGB')
        return [first(rgb), second(rgb)]

    return pipeline


def _mm_pipeline(transforms: Sequence[dict]) -> Pipeline:
    compose = Compose([TRANSFORMS.build(dict(cfg)) for cfg in transforms])
    return lambda path: compose(dict(img_path=path))


class _PILBlur:
    """Pillow's blur with sigma from U(0.1, 2)."""

    def __call__(self, image: Image.Image) -> Image.Image:
        sigma = float(torch.empty(1).uniform_(0.1, 2.0))
        return image.filter(ImageFilter.GaussianBlur(sigma))


if __name__ == '__main__':
    main()
