"""One list of views as pipelines of this project and of its peers.

All of them read a JPEG file from disk and return uint8 tensors. The peers are
built from the same numbers, each in its fastest form; lightly, whose
transforms are torchvision's on PIL images with Pillow's blur, is among them
where it is installed.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import mmpretrain
import torch
from lightly_peer import installed, lightly_views
from measuring import interleaved, machine
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import TRANSFORMS
from PIL import Image, ImageFilter, ImageOps
from sklearn.datasets import load_sample_images
from torchvision import io, transforms
from torchvision.transforms import v2

from sce_mm.datasets import Augmentation, build_augmentation

Pipeline = Callable[[str], object]
Views = Sequence[dict]
# Half the kernel of 23 pixels is 5.5 times the largest sigma of 2.
BLUR_KERNEL = 23
_RECIPE = '.mim/configs/_base_/datasets/imagenet_bs512_mocov3.py'


def benchmark(views: Views, description: str) -> None:
    """Command line: images per second of every pipeline on one core."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--images', type=int, default=50, help='a repeat')
    parser.add_argument('--repeats', type=int, default=9)
    parser.add_argument('--width', type=int, default=500)
    parser.add_argument('--height', type=int, default=375)
    parser.add_argument('--json', type=Path, help='write the figures here')
    args = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    report: dict = {
        'machine': machine() | {'opencv': cv2.__version__},
        'photographs': [args.width, args.height],
        'sizes': [view['size'] for view in views],
    }
    with tempfile.TemporaryDirectory() as folder:
        files = photographs(Path(folder), args.width, args.height)
        files = [files[i % len(files)] for i in range(args.images)]
        seconds = interleaved(
            {
                name: lambda pipeline=pipeline: [*map(pipeline, files)]
                for name, pipeline in pipelines(views).items()
            },
            args.repeats,
        )
    report['images_per_second'] = {
        name: args.images / value for name, value in seconds.items()
    }
    report['times_slower'] = {
        name: value / seconds['sce_mm'] for name, value in seconds.items()
    }
    for name, rate in report['images_per_second'].items():
        ratio = report['times_slower'][name]
        print(f'{name:26s} {rate:7.1f} images/s   sce_mm is {ratio:.2f} x')
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + '\n')


def photographs(folder: Path, width: int, height: int) -> list[str]:
    """scikit-learn's photographs as JPEG files of the size asked for."""
    files = []
    for number, rgb in enumerate(load_sample_images().images):
        image = ImageOps.fit(Image.fromarray(rgb), (width, height))
        files.append(str(folder / f'{number}.jpg'))
        image.save(files[-1], quality=90)
    return files


def pipelines(views: Views) -> dict[str, Pipeline]:
    """Each pipeline under the name that tables give it."""
    init_default_scope('mmpretrain')
    numbers = [build_augmentation(**view) for view in views]
    made = {
        'sce_mm': sce_mm(views),
        'mmpretrain': mmpretrain_views(numbers),
        'torchvision, PIL': torchvision_pil(numbers),
        'torchvision v2, PIL': torchvision_v2(numbers, _read_pil),
        'torchvision v2, tensors': torchvision_v2(numbers, _read_tensor),
    }
    if installed():
        made['lightly'] = lightly_views(numbers, _read_pil)
    return made


def sce_mm(views: Views) -> Pipeline:
    """Our loader and views."""
    return _mm_pipeline(
        [
            dict(type='LoadImage'),
            dict(type='SCEViews', views=list(views)),
            dict(type='PackInputs'),
        ]
    )


def mmpretrain_views(views: Sequence[Augmentation]) -> Pipeline:
    """The pipeline of mmpretrain's MoCo v3 recipe with these numbers."""
    return _mm_pipeline(mmpretrain_config(views))


def mmpretrain_config(views: Sequence[Augmentation]) -> list[dict]:
    """The recipe's pipeline, its views replaced by these.

    They are the recipe's first view with other numbers.
    """
    folder = Path(mmpretrain.__file__).parent
    recipe = Config.fromfile(folder / _RECIPE).to_dict()
    load, multi_view, pack = recipe['train_pipeline']
    multi_view = {
        **multi_view,
        'num_views': [1] * len(views),
        'transforms': [
            _mmpretrain_view(recipe['view_pipeline1'], aug) for aug in views
        ],
    }
    return [load, multi_view, pack]


def _mmpretrain_view(recipe: list[dict], aug: Augmentation) -> list[dict]:
    crop, jitter, grey, blur, solarise, flip = copy.deepcopy(recipe)
    crop.update(scale=aug.size, crop_ratio_range=aug.scale)
    jitter['prob'] = aug.jitter_prob
    jitter['transforms'][0].update(
        brightness=aug.brightness,
        contrast=aug.contrast,
        saturation=aug.saturation,
        hue=aug.hue,
    )
    grey['prob'] = aug.grey_prob
    blur.update(prob=aug.blur_prob, magnitude_range=aug.blur_sigma)
    solarise.update(thr=aug.solarise_threshold, prob=aug.solarise_prob)
    flip['prob'] = aug.flip_prob
    return [crop, jitter, grey, blur, solarise, flip]


def torchvision_pil(views: Sequence[Augmentation]) -> Pipeline:
    """torchvision's first transforms on PIL images, Pillow's blur."""
    composed = [
        transforms.Compose([*_torchvision_view(transforms, aug, PillowBlur)])
        for aug in views
    ]
    to_tensor = transforms.PILToTensor()

    def pipeline(path: str) -> object:
        image = _read_pil(path)
        return [to_tensor(view(image)) for view in composed]

    return pipeline


def torchvision_v2(
    views: Sequence[Augmentation], read: Callable[[str], object]
) -> Pipeline:
    """torchvision's second transforms, on what ``read`` returns."""
    pil = read is _read_pil
    composed = [
        v2.Compose(
            [*_torchvision_view(v2, aug, PillowBlur if pil else v2_blur)]
        )
        for aug in views
    ]
    to_tensor = v2.PILToTensor() if pil else torch.nn.Identity()

    def pipeline(path: str) -> object:
        image = read(path)
        return [to_tensor(view(image)) for view in composed]

    return pipeline


def _torchvision_view(
    library: object, aug: Augmentation, blur: Callable[..., object]
) -> list:
    return [
        # Tensors are not smoothed by default in all versions; images are.
        library.RandomResizedCrop(
            aug.size, aug.scale, aug.ratio, antialias=True
        ),
        library.RandomApply(
            [
                library.ColorJitter(
                    aug.brightness, aug.contrast, aug.saturation, aug.hue
                )
            ],
            p=aug.jitter_prob,
        ),
        library.RandomGrayscale(aug.grey_prob),
        library.RandomApply([blur(aug.blur_sigma)], p=aug.blur_prob),
        library.RandomSolarize(aug.solarise_threshold, aug.solarise_prob),
        library.RandomHorizontalFlip(aug.flip_prob),
    ]


def v2_blur(sigma: tuple[float, float]) -> object:
    """torchvision's blur of tensors."""
    return v2.GaussianBlur(BLUR_KERNEL, sigma)


class PillowBlur(torch.nn.Module):
    """Pillow's blur, sigma uniform: faster than torchvision's own of PIL."""

    def __init__(self, sigma: tuple[float, float]) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, image: Image.Image) -> Image.Image:
        """Blur once."""
        sigma = float(torch.empty(1).uniform_(*self.sigma))
        return image.filter(ImageFilter.GaussianBlur(sigma))


def _read_pil(path: str) -> Image.Image:
    with Image.open(path) as image:
        return image.convert('RGB')


def _read_tensor(path: str) -> torch.Tensor:
    return io.decode_image(io.read_file(path), io.ImageReadMode.RGB)


def _mm_pipeline(configs: Sequence[dict]) -> Pipeline:
    compose = Compose([TRANSFORMS.build(dict(cfg)) for cfg in configs])
    return lambda path: compose(dict(img_path=path))
