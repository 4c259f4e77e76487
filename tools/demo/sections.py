"""The parts of the report, each from what the runs left on disk."""

import json
import os
import platform
from pathlib import Path

import cv2
import findings
import neighbours
import torch
from mmengine.config import Config
from mmpretrain.registry import TRANSFORMS
from pictures import data_uri, scene_tile
from plan import expectation

from sce_mm.utils.commands import read_scalars
from sce_mm.visualization import page

CHANCE = 10.0
NEXT = """\
python tools/train.py configs/sce/sce_resnet18_1xb64-coslr-200e_folder.py \\
    --data path/to/images --work-dir work_dirs/mine
python tools/model_converters/extract_backbone.py \\
    work_dirs/mine/epoch_200.pth backbone.pth
python tools/make_detection_config.py \\
    path/to/your_config.py backbone.pth my_config.py
python tools/train.py my_config.py

python tools/compare.py work_dirs/compare --images path/to/images \\
    --train path/to/train.json --train-images path/to/train \\
    --val path/to/val.json --val-images path/to/val \\
    --detector path/to/your_config.py --percent 10 100 --seeds 0 1 2"""


def what_was_done(out: Path, cfg: Config) -> list[str]:
    """Data and trainings in one paragraph."""
    data = out / 'data'
    count = len(list((data / 'unlabelled').iterdir()))
    scenes = {
        name: len(
            json.loads((data / 'scenes' / f'{name}.json').read_text())[
                'images'
            ]
        )
        for name in ('train', 'val')
    }
    return [
        page.heading('What was done'),
        page.paragraph(
            f'SCE pretrained a narrow ResNet-18 for {cfg.train_cfg.max_epochs}'
            f' epochs on {count} unlabelled tiles, each a real handwritten '
            'digit on a piece of a photograph. Its backbone then went into '
            f'Mask R-CNN, trained on {scenes["train"]} labelled scenes and '
            f'measured on {scenes["val"]} others. No digit of the validation '
            'scenes or of the kNN queries, and none of the photographs behind '
            'them, was seen in any training.'
        ),
    ]


def curves(out: Path, knn: dict, key: str) -> list[str]:
    """Loss and kNN accuracy over the pretraining."""
    series = read_scalars(out / 'sce')
    accuracy = series.get(key, [])
    levels = {'before pretraining': knn['random'][key], 'chance': CHANCE}
    return [
        page.heading('Pretraining'),
        page.side_by_side(
            [
                page.curves(
                    {
                        'loss': series['loss'],
                        'lowest possible': series['target_entropy'],
                    },
                    'training step',
                    'loss',
                    'From one view of an image the network predicts how '
                    'alike another view of it is to many other images. The '
                    'lower line is the loss of a perfect prediction (the '
                    'entropy of what is predicted); it moves too, because '
                    'the network itself says what is alike.',
                ),
                page.curves(
                    {'kNN': accuracy},
                    'epoch',
                    'accuracy, %',
                    'Digits named rightly by the most similar labelled '
                    'tiles, measured while the network is pretrained. Labels '
                    'serve this measurement alone.',
                    levels,
                ),
            ]
        ),
    ]


def views(out: Path, cfg: Config) -> list[str]:
    """Tiles beside the views that the two branches get."""
    pipeline = cfg.train_dataloader.dataset.pipeline
    transform = TRANSFORMS.build(
        next(t for t in pipeline if t.type == 'SCEViews')
    )
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
        rows.append(page.tiles(row, 128, sharp=True))
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
    """Neighbours of query digits before and after."""
    checkpoint = Path((out / 'sce' / 'last_checkpoint').read_text().strip())
    side = cfg.train_dataloader.dataset.pipeline[1].views[0].size
    queries = findings.labelled_tiles(out / 'data', 'query')
    bank = findings.labelled_tiles(out / 'data', 'bank')
    parts = []
    names = ('Before pretraining', 'After pretraining')
    for name, model in zip(
        names, neighbours.models(cfg, checkpoint), strict=True
    ):
        rows, share = neighbours.likeness(model, queries, bank, side)
        title = (
            f'{name}: {share:.0f} % of the likeness falls on the same digit '
            f'(chance {CHANCE:.0f} %)'
        )
        parts.append(
            page.panel(
                [
                    page.subheading(title),
                    *(page.tiles(row, 98, sharp=True) for row in rows),
                ]
            )
        )
    return [
        page.heading(
            'Which tiles are alike',
            'Digits that were never seen, and beside each the tiles that the '
            'network finds most like it. The likeness to all '
            f'{len(bank[0])} tiles adds up to 100 %; below each tile is its '
            'share. A whole blue frame: the same digit. A dashed orange one: '
            'another digit.',
        ),
        *parts,
    ]


def detections(out: Path, detection: dict) -> list[str]:
    """COCO metrics and scenes."""
    head = ['backbone starts from', *detection['sce']]
    labels = {'sce': 'SCE on unlabelled tiles', 'scratch': 'random numbers'}
    rows = [
        [labels[name], *(f'{value:.1f}' for value in values.values())]
        for name, values in detection.items()
    ]
    titles = {
        'truth': 'Labels',
        'sce': 'Found with the backbone from SCE',
        'scratch': 'Found with the backbone from random numbers',
    }
    scenes = findings.scenes(out / 'data', out, 6)
    parts = []
    for key, title in titles.items():
        found = [scene_tile(scene['image'], scene[key]) for scene in scenes]
        parts += [page.subheading(title), page.tiles(found, 148)]
    return [
        page.heading(
            'Mask R-CNN',
            'AP (average precision, 0 to 100) says how many objects are '
            'found and how closely their boxes or masks fit; AP50 is content '
            'with half an overlap.',
        ),
        page.table(head, rows),
        page.paragraph(
            'The same validation scenes three times, with what was found at '
            'a score above 50 %; below each the digits from left to right.',
            'soft',
        ),
        page.panel(parts),
    ]


def next_steps() -> list[str]:
    """What to type for images of one's own."""
    return [
        page.heading(
            'Next: your own images',
            'A folder of images is enough, without labels; sub-folders are '
            'looked through. A detector config of yours then starts from the '
            'result. Whether that helps with your images is what the last '
            'command finds out: it trains the detector from SCE and from '
            'random numbers, on parts of the labels and with several seeds.',
        ),
        page.listing(NEXT),
    ]


def how_it_was_run(out: Path, cfg: Config, facts: dict) -> list[str]:
    """Times, machine and commands."""
    rows = [
        [stage['name'], f'{stage["seconds"]:.0f} s']
        for stage in facts['stages']
    ]
    total = sum(stage['seconds'] for stage in facts['stages'])
    rows.append(['in all, before this page', f'{total / 60:.1f} min'])
    machine = (
        f'{findings.processor()}, {os.cpu_count()} cores, Python '
        f'{platform.python_version()}, torch {torch.__version__}, '
        f'seed {facts["seed"]}. '
        + expectation(cfg.optim_wrapper.type == 'BF16OptimWrapper')
    )
    commands = '\n\n'.join(stage['command'] for stage in facts['stages'])
    return [
        page.heading('How it was run', machine),
        page.table(['stage', 'time'], rows),
        page.listing(commands),
        *(
            page.folded(f'config of {folder}', path.read_text())
            for folder in ('sce', 'detector_sce', 'detector_scratch')
            for path in sorted((out / folder).glob('*.py'))
        ),
    ]
