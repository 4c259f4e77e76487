"""Write the parts of the report from what the runs left on disk."""

import json
import os
import platform
from argparse import Namespace
from html import escape
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmpretrain.registry import TRANSFORMS
from plan import expectation
from pycocotools import mask as coco_mask

from sce_mm.cli.evaluation import networks
from sce_mm.config.parts import view_transforms
from sce_mm.evaluation import extract_features
from sce_mm.evaluation.images import FolderImages
from sce_mm.evaluation.loaders import labelled_loaders
from sce_mm.utils.run_commands import read_scalars
from sce_mm.visualization import label_maps, page, plots
from sce_mm.visualization.detections import (
    LEGEND,
    Instance,
    coco_instance,
    detection_row,
)
from sce_mm.visualization.sheets import (
    choose_queries,
    data_uri,
    neighbour_sheet,
)

CHANCE = 10.0
NEXT = """\
sce train sce_resnet18_1xb64-coslr-200e_folder \\
    --data path/to/images --work-dir work_dirs/mine
sce detector path/to/your_config.py work_dirs/mine/backbone.pth my_config.py
sce train my_config.py

sce compare work_dirs/compare --images path/to/images \\
    --train path/to/train.json --train-images path/to/train \\
    --val path/to/val.json --val-images path/to/val \\
    --detector path/to/your_config.py \\
    --pretraining sce_resnet18_1xb64-coslr-200e_folder \\
    --percent 10 100 --seeds 0 1 2"""


def what_was_done(out: Path, cfg: Config) -> list[str]:
    tiles, train, val = (
        len(list((out / 'data' / folder).iterdir()))
        for folder in ('unlabelled', 'scenes/train', 'scenes/val')
    )
    return [
        page.heading('What was done'),
        page.paragraph(
            f'SCE pretrained a narrow ResNet-18 for {cfg.train_cfg.max_epochs}'
            f' epochs on {tiles} unlabelled tiles, each a real handwritten '
            'digit on a piece of a photograph. Its backbone then went into '
            f'Mask R-CNN, trained on {train} labelled scenes and '
            f'measured on {val} others. No digit of the validation '
            'scenes or of the kNN queries, and none of the photographs behind '
            'them, was seen in any training.'
        ),
    ]


def curves(out: Path, before: float) -> list[str]:
    series = read_scalars(out / 'sce')
    entropy = series['target_entropy']
    loss = plots.curves(
        {'loss': series['loss'], 'lowest possible': entropy},
        'training step',
        'loss',
        'From one view of an image the network predicts how alike another '
        'view of it is to many other images. The lower line is the loss of a '
        'perfect prediction (the entropy of what is predicted); it moves too, '
        'because the network itself says what is alike.',
    )
    found = series['knn_top1_k20']
    levels = {'before pretraining': before, 'chance': CHANCE}
    ends = found[0][0], found[-1][0]
    lines = {name: [(x, y) for x in ends] for name, y in levels.items()}
    knn = plots.curves(
        {'kNN': found, **lines},
        'epoch',
        'accuracy, %',
        'Digits classified correctly by the most similar labelled tiles, '
        'measured while the network is pretrained. Labels serve this '
        'measurement alone.',
    )
    return [page.heading('Pretraining'), page.side_by_side([loss, knn])]


def views(out: Path, cfg: Config) -> list[str]:
    (_, config), *_ = view_transforms(cfg)
    transform = TRANSFORMS.build(config)
    rows = []
    for path in sorted((out / 'data' / 'unlabelled').iterdir())[:5]:
        tile = cv2.imread(str(path))
        row = [page.Tile(data_uri(tile), 'image')]
        for number in (1, 2, 3):
            pair = transform({'img': tile})['img']
            row += [
                page.Tile(data_uri(view), f'pair {number}, {name}')
                for view, name in zip(pair, ('first', 'second'), strict=True)
            ]
        rows.append(page.tiles(row, page.tile_side(7), sharp=True, columns=4))
    return [
        page.heading(
            'What the network sees',
            'Each time an image comes up, two random views of it are made: '
            'cut out, turned to other colours, blurred. The first goes '
            'through a slowly moving average of the network, which says what '
            'other images it is like; the network must predict that from the '
            'second. Three such pairs of each image:',
        ),
        page.panel(rows),
    ]


def alike(out: Path, cfg: Config) -> list[str]:
    checkpoint = (out / 'sce' / 'last_checkpoint').read_text().strip()
    args = Namespace(random_init=True, checkpoint=[checkpoint], device='cpu')
    args.branch, args.trust = 'online', False
    _, loader = labelled_loaders(cfg)
    dataset = loader.dataset
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    images = FolderImages(
        dataset,
        [info['img_path'] for info in infos],
        [int(info['gt_label']) for info in infos],
        [f'a {digit}' for digit in range(10)],
    )
    queries = choose_queries(images, 6, seed=0)
    names = ('Before pretraining', 'After pretraining')
    sheets = [
        neighbour_sheet(
            name, images, extract_features(model, loader)[0], queries
        )
        for name, (_, model) in zip(names, networks(cfg, args), strict=True)
    ]
    return [
        page.heading(
            'Which tiles are alike',
            f'Of {len(infos)} digits that were never seen, some with those '
            'that the network finds most like them, and how like (1 is '
            'equal). A whole blue frame: the same digit. A dashed orange one: '
            f'another digit. Chance is {CHANCE:.0f} %.',
        ),
        *sheets,
    ]


def detections(out: Path, detection: dict) -> list[str]:
    head = ['backbone starts from', *detection['sce']]
    labels = {
        'scratch': 'random initialisation',
        'sce': 'SCE on unlabelled tiles',
    }
    table = [
        [labels[name], *(f'{value:.1f}' for value in values.values())]
        for name, values in detection.items()
    ]
    folder = out / 'data' / 'scenes'
    truth = json.loads((folder / 'val.json').read_text())
    found = {label: found_objects(out, n) for n, label in labels.items()}
    rows = [
        detection_row(
            cv2.imread(str(folder / 'val' / entry['file_name'])),
            instances_of(truth['annotations'], entry['id']),
            {n: instances_of(x, entry['id']) for n, x in found.items()},
            page.tile_side(1 + len(found)),
            [str(category['id']) for category in truth['categories']],
        )
        for entry in truth['images'][:6]
    ]
    return [
        page.heading(
            'Mask R-CNN',
            'AP (average precision, 0 to 100) says how many objects are '
            'found and how closely their boxes or masks fit; AP50 is content '
            'with half an overlap.',
        ),
        page.table(head, table, 'AP of Mask R-CNN'),
        page.paragraph(
            'Some validation scenes, each with its labels and with what was '
            f'found at a score above 50 %. {LEGEND}',
            'soft',
        ),
        page.panel(rows),
    ]


def segments(out: Path) -> list[str]:
    folder = out / 'data' / 'scenes'
    classes = ['ground', *'0123456789']
    found = {
        'random initialisation': out / 'segmented_scratch',
        'SCE on unlabelled tiles': out / 'segmented_sce',
    }

    def labels(place: Path, name: str) -> np.ndarray:
        return cv2.imread(str(place / name), cv2.IMREAD_GRAYSCALE)

    rows = [
        label_maps.map_row(
            cv2.imread(str(path)),
            labels(folder / 'val_maps', path.name),
            {
                start: labels(place, path.name)
                for start, place in found.items()
            },
            page.tile_side(2 + len(found)),
            len(classes),
        )
        for path in sorted((folder / 'val').iterdir())[:6]
    ]
    return [
        page.heading(
            'UPerNet',
            'The same scenes as maps that say of each pixel which digit it '
            'belongs to, or none. mIoU (mean intersection over union, 0 to '
            '100) says how much of the pixels that a class has, or is '
            'given, agree, over the ten digits and the ground. '
            + label_maps.LEGEND,
        ),
        page.panel([label_maps.colour_legend(classes), *rows]),
    ]


def found_objects(out: Path, name: str) -> list[dict]:
    """What a detector found in the validation scenes, each with its box."""
    # Nothing is written either if nothing was found.
    path = out / f'{name}.segm.json'
    results = json.loads(path.read_text()) if path.exists() else []
    return [
        {**x, 'bbox': coco_mask.toBbox(x['segmentation']).tolist()}
        for x in results
        if x['score'] > 0.5
    ]


def instances_of(objects: list[dict], image: int) -> list[Instance]:
    """COCO annotations or results of an image, as they are drawn."""
    return [
        coco_instance(
            entry,
            str(entry['category_id']),
            coco_mask.decode(entry['segmentation']),
        )
        for entry in objects
        if entry['image_id'] == image
    ]


def listing(code: str) -> str:
    """Commands, as they were run."""
    return page.panel([f'<pre>{escape(code)}</pre>'])


def next_steps() -> list[str]:
    return [
        page.heading(
            'Next: your own images',
            'A folder of images is enough, without labels; sub-folders are '
            'looked through. A detector config of yours then starts from the '
            'result. Whether that helps with your images is what the last '
            'command finds out: it trains the detector from SCE and from '
            'random initialisation, on parts of the labels, with some seeds.',
        ),
        listing(NEXT),
    ]


def how_it_was_run(cfg: Config, metadata: dict) -> list[str]:
    titles, seconds, commands = zip(*metadata['stages'], strict=True)
    total = sum(seconds)
    rows = [[t, f'{s:.0f} s'] for t, s in zip(titles, seconds, strict=True)]
    rows.append(['in all, before this page', f'{total / 60:.1f} min'])
    expected = expectation(cfg.optim_wrapper.type == 'BF16OptimWrapper')
    machine = (
        f'{platform.machine()}, {os.cpu_count()} cores, Python '
        f'{platform.python_version()}, torch {torch.__version__}, '
        f'seed {metadata["seed"]}. {expected}'
    )
    return [
        page.heading('How it was run', machine),
        page.table(['stage', 'time'], rows, 'How long each stage took'),
        listing('\n\n'.join(commands)),
    ]
