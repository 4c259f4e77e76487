"""Images per second of the pipelines of two and of six views, against peers.

    python tools/dev/speed/views.py --json views.json

Each pipeline reads the same JPEG files and makes the two 224-pixel views of
the ImageNet recipe, or the 2 + 4 views of its multi-crop, as uint8 tensors, on
one core. The peers are built from the same numbers, each in its fastest form;
lightly, whose transforms are torchvision's on PIL images with Pillow's blur,
is among them where it is installed. Decoding alone is the upper bound of all
that decode with OpenCV.

Then the time of a view is split into its stages. All figures are processor
time: other work on the machine hardly changes it.
"""

import copy
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import torch
from measuring import command, interleaved, machine, table_text
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import TRANSFORMS
from PIL import Image, ImageFilter, ImageOps
from torchvision import io, transforms
from torchvision.transforms import v2

from sce_mm.cli.exit import run_main
from sce_mm.datasets import Augmentation, build_augmentation
from sce_mm.datasets.views import image_ops, sce_views

Pipeline = Callable[[str], object]
Views = Sequence[dict]
# Half the kernel of 23 pixels is 5.5 times the largest sigma of 2.
BLUR_KERNEL = 23
_RECIPE = '.mim/configs/_base_/datasets/imagenet_bs512_mocov3.py'
VIEWS = [
    dict(augmentation='strong_alpha', size=224, scale=(0.2, 1.0)),
    dict(augmentation='strong_beta', size=224, scale=(0.2, 1.0)),
    dict(augmentation='strong_gamma', size=192, scale=(0.172, 0.86)),
    dict(augmentation='strong_gamma', size=160, scale=(0.143, 0.715)),
    dict(augmentation='strong_gamma', size=128, scale=(0.114, 0.571)),
    dict(augmentation='strong_gamma', size=96, scale=(0.086, 0.429)),
]
DECODING = 'decoding alone'
# Functions of each stage, by the module and the name that they are called by.
STAGES = {
    'random numbers': ((sce_views, 'draw_params'),),
    'crop and resize': ((image_ops, 'resized_crop'),),
    'brightness, contrast, saturation, grey': (
        (image_ops.OPERATIONS, 'brightness'),
        (image_ops.OPERATIONS, 'contrast'),
        (image_ops.OPERATIONS, 'saturation'),
        (image_ops.OPERATIONS, 'grey'),
    ),
    'hue': ((image_ops.OPERATIONS, 'hue'),),
    'blur': ((image_ops.OPERATIONS, 'blur'),),
    'solarise and flip': (
        (image_ops.OPERATIONS, 'solarise'),
        (image_ops.OPERATIONS, 'flip'),
    ),
    'packing': ((sce_views, 'channels_apart'),),
}


def measure(images: int, repeats: int, width: int, height: int) -> list[dict]:
    """Figures of the two views and of all six, on one core."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    sizes = images, repeats, width, height
    return [compare(views, *sizes) for views in (VIEWS[:2], VIEWS)]


def compare(
    views: Views, images: int, repeats: int, width: int, height: int
) -> dict:
    """Images per second of all pipelines, and the stages of the own one."""
    before = machine() | {'opencv': cv2.__version__}
    rounds: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        files = photographs(Path(folder), width, height)
        files = [files[i % len(files)] for i in range(images)]
        candidates = pipelines(views)
        candidates[DECODING] = _mm_pipeline(own_pipeline(views)[:1])
        runs = {
            name: partial(read_all, pipeline, files)
            for name, pipeline in candidates.items()
        }
        # In the same rounds, so that its figures belong to theirs.
        stages = {'stages': lambda: rounds.append(split(views, files))}
        seconds = interleaved(runs | stages, repeats, time.process_time)
    return {
        'machine': before,
        'photographs': [width, height],
        'sizes': [view['size'] for view in views],
        'images_per_second': {name: images / seconds[name] for name in runs},
        'microseconds': {
            name: 1e6 / images * statistics.median(x[name] for x in rounds[1:])
            for name in rounds[0]
        },
    }


def read_all(pipeline: Pipeline, files: Sequence[str]) -> None:
    for file in files:
        pipeline(file)


class Stopwatch:
    """Processor seconds within functions, by name.

    What a timed function calls counts as part of it.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._busy = False

    def timed(self, name: str, function: Callable) -> Callable:
        """The function, whose time is added under the name."""
        self.seconds[name] = 0.0

        def run(*args: Any) -> Any:
            if self._busy:
                return function(*args)
            self._busy = True
            start = time.process_time()
            try:
                return function(*args)
            finally:
                self.seconds[name] += time.process_time() - start
                self._busy = False

        return run


@contextmanager
def stages_timed(watch: Stopwatch) -> Iterator[None]:
    """Let the functions of STAGES add their time to a watch."""
    with ExitStack() as patches:
        for stage, places in STAGES.items():
            for owner, name in places:
                if isinstance(owner, dict):
                    timed = watch.timed(stage, owner[name])
                    patches.enter_context(patch.dict(owner, {name: timed}))
                else:
                    timed = watch.timed(stage, getattr(owner, name))
                    patches.enter_context(patch.object(owner, name, timed))
        yield


def split(views: Views, files: Sequence[str]) -> dict[str, float]:
    """Processor seconds of each stage of sce_mm for all files."""
    load, make, pack = (TRANSFORMS.build(x) for x in own_pipeline(views))
    watch = Stopwatch()
    load_timed = watch.timed('decoding', load)
    with stages_timed(watch):
        pack_timed = watch.timed('packing', pack)
        start = time.process_time()
        for file in files:
            pack_timed(make(load_timed(dict(img_path=file))))
        whole = time.process_time() - start
    return {**watch.seconds, 'the rest': whole - sum(watch.seconds.values())}


def table(reports: list[dict]) -> str:
    """Images per second of each pipeline, then the stages of the own one."""
    return f'{table_of_rates(reports)}\n\n{table_of_stages(reports)}'


def table_of_stages(reports: list[dict]) -> str:
    """Microseconds of each stage, and its share of an image."""
    columns = []
    for report in reports:
        parts = report['microseconds']
        whole = sum(parts.values())
        columns.append(
            [f'µs per image, {len(report["sizes"])} views', '---']
            + [f'{part:.0f} ({part / whole:.0%})' for part in parts.values()]
            + [f'{whole:.0f}']
        )
    names = ['stage', '---', *reports[0]['microseconds'], 'all']
    lines = zip(names, *columns, strict=True)
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def table_of_rates(reports: list[dict]) -> str:
    """Images per second of each pipeline, and how far behind it is."""
    rows = [
        f'| {" + ".join(map(str, report["sizes"]))} | {name} | {rate:.0f} '
        f'| {report["images_per_second"]["sce_mm"] / rate:.2f} |'
        for report in reports
        for name, rate in report['images_per_second'].items()
    ]
    header = '| views | pipeline | images / s | rate of sce_mm / this |'
    return table_text(reports[0]['machine'], header, rows)


def photographs(folder: Path, width: int, height: int) -> list[str]:
    """scikit-learn's photographs as JPEG files of the size asked for."""
    # Here, as a machine with a GPU may not have it.
    from sklearn.datasets import load_sample_images

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
        'sce_mm': _mm_pipeline(own_pipeline(views)),
        'mmpretrain': _mm_pipeline(mmpretrain_config(numbers)),
        'torchvision, PIL': torchvision_views(transforms, numbers),
        'torchvision v2, PIL': torchvision_views(v2, numbers),
        'torchvision v2, tensors': torchvision_views(v2, numbers, False),
    }
    if find_spec('lightly'):
        made['lightly'] = lightly_views(numbers)
    else:
        print('lightly is not among the peers, for it is not installed')
    return made


def own_pipeline(views: Views) -> list[dict]:
    """The pipeline of the recipes."""
    return [
        dict(type='LoadImage'),
        dict(type='SCEViews', views=list(views)),
        dict(type='PackInputs'),
    ]


def mmpretrain_config(views: Sequence[Augmentation]) -> list[dict]:
    """mmpretrain's MoCo v3 pipeline: its first view with other numbers."""
    # Imported behind sce_mm, it prints nothing.
    import mmpretrain

    folder = Path(mmpretrain.__file__).parent
    recipe = Config.fromfile(folder / _RECIPE).to_dict()
    load, multi_view, pack = recipe['train_pipeline']
    multi_view['num_views'] = [1] * len(views)
    multi_view['transforms'] = [
        _mmpretrain_view(recipe['view_pipeline1'], aug) for aug in views
    ]
    return [load, multi_view, pack]


def _mmpretrain_view(recipe: list[dict], aug: Augmentation) -> list[dict]:
    crop, jitter, grey, blur, solarise, flip = copy.deepcopy(recipe)
    crop.update(scale=aug.size, crop_ratio_range=aug.scale)
    jitter['prob'] = aug.jitter_prob
    names = ('brightness', 'contrast', 'saturation', 'hue')
    jitter['transforms'][0].update({n: getattr(aug, n) for n in names})
    grey['prob'] = aug.grey_prob
    blur.update(prob=aug.blur_prob, magnitude_range=aug.blur_sigma)
    solarise.update(thr=aug.solarise_threshold, prob=aug.solarise_prob)
    flip['prob'] = aug.flip_prob
    return [crop, jitter, grey, blur, solarise, flip]


def torchvision_views(
    library: object, views: Sequence[Augmentation], pil: bool = True
) -> Pipeline:
    """torchvision's transforms of either version, on PIL images or tensors."""
    read = _read_pil if pil else _read_tensor
    blur = PillowBlur if pil else partial(v2.GaussianBlur, BLUR_KERNEL)
    # Tensors are not smoothed by default in all versions; images are.
    crop = partial(library.RandomResizedCrop, antialias=True)
    composed = [
        library.Compose(
            [
                crop(aug.size, aug.scale, aug.ratio),
                *_colours(library, aug),
                library.RandomApply([blur(aug.blur_sigma)], aug.blur_prob),
                library.RandomSolarize(
                    aug.solarise_threshold, aug.solarise_prob
                ),
                library.RandomHorizontalFlip(aug.flip_prob),
            ]
        )
        for aug in views
    ]
    to_tensor = library.PILToTensor() if pil else torch.nn.Identity()

    def pipeline(path: str) -> object:
        image = read(path)
        return [to_tensor(view(image)) for view in composed]

    return pipeline


def lightly_views(views: Sequence[Augmentation]) -> Pipeline:
    """Views as lightly composes them, its own blur and solarisation."""
    from lightly.transforms import GaussianBlur, RandomSolarization
    from lightly.transforms.multi_view_transform import MultiViewTransform

    transform = MultiViewTransform(
        [
            v2.Compose(
                [
                    v2.RandomResizedCrop(aug.size, aug.scale, aug.ratio),
                    v2.RandomHorizontalFlip(aug.flip_prob),
                    *_colours(v2, aug),
                    GaussianBlur(prob=aug.blur_prob, sigmas=aug.blur_sigma),
                    RandomSolarization(
                        aug.solarise_prob, aug.solarise_threshold
                    ),
                    v2.PILToTensor(),
                ]
            )
            for aug in views
        ]
    )
    return lambda path: transform(_read_pil(path))


def _colours(library: object, aug: Augmentation) -> list:
    levels = aug.brightness, aug.contrast, aug.saturation, aug.hue
    jitter = library.ColorJitter(*levels)
    return [
        library.RandomApply([jitter], p=aug.jitter_prob),
        library.RandomGrayscale(aug.grey_prob),
    ]


class PillowBlur(torch.nn.Module):
    """Pillow's blur, sigma uniform: faster than torchvision's own of PIL."""

    def __init__(self, sigma: tuple[float, float]) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, image: Image.Image) -> Image.Image:
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


if __name__ == '__main__':
    sizes = dict(images=50, repeats=9, width=500, height=375)
    run_main(partial(command, __doc__, measure, table, **sizes))
