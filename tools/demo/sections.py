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
from pictures import data_uri, with_objects

from sce_mm.run_logs import scalars
from sce_mm.visualization import page
from sce_mm.visualization.sheets import captioned, enlarged, grid

CHANCE = 10.0


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
    series = scalars(out / 'sce')
    accuracy = series.get(key, [])
    levels = {'random initialisation': knn['random'][key], 'chance': CHANCE}
    return [
        page.heading('Pretraining'),
        page.side_by_side(
            [
                page.curves(
                    {
                        'loss': series['loss'],
                        'floor: entropy of the target': series[
                            'target_entropy'
                        ],
                    },
                    'step',
                    'nats',
                    'The loss cannot fall below the entropy of its target.',
                ),
                page.curves(
                    {'kNN': accuracy},
                    'epoch',
                    'accuracy, %',
                    'kNN accuracy of the frozen backbone, measured while it '
                    'is pretrained. Labels serve this measurement alone.',
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
        row = [captioned(enlarged(tile, 96), 'tile')]
        for _ in range(3):
            pair = transform({'img': tile})['img']
            names = ('to target', 'to online')
            row += [
                captioned(enlarged(view, 96), name)
                for view, name in zip(pair, names, strict=True)
            ]
        rows.append(row)
    return [
        page.heading(
            'What the network sees',
            'The momentum branch embeds one view of a tile; the online branch '
            'must predict from another view which tiles it is like.',
        ),
        page.picture(
            data_uri(grid(rows)), 'Tiles, and three pairs of views of each.'
        ),
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
        sheet, share = neighbours.sheet(model, queries, bank, side)
        parts.append(
            page.picture(
                data_uri(sheet),
                f'{name}: {share:.0f} % of the target weight falls on tiles '
                f'of the right digit (chance {CHANCE:.0f} %).',
            )
        )
    return [
        page.heading(
            'Which tiles are alike',
            'Digits that were never seen, and beside each the tiles that '
            "SCE's target weighs most: below each its weight, green if it "
            'is the same digit.',
        ),
        *parts,
    ]


def detections(out: Path, detection: dict) -> list[str]:
    """COCO metrics and scenes."""
    head = ['initialised from', *detection['sce']]
    labels = {'sce': 'SCE on unlabelled tiles', 'scratch': 'random numbers'}
    rows = [
        [labels[name], *(f'{value:.1f}' for value in values.values())]
        for name, values in detection.items()
    ]
    columns = []
    titles = (
        ('truth', 'labelled'),
        ('sce', 'from SCE'),
        ('scratch', 'from random numbers'),
    )
    for scene in findings.scenes(out / 'data', out, 6):
        columns.append(
            [
                captioned(with_objects(scene['image'], scene[key]), title)
                for key, title in titles
            ]
        )
    pictures = [
        [column[row] for column in columns[start : start + 3]]
        for start in range(0, len(columns), 3)
        for row in range(3)
    ]
    return [
        page.heading('Mask R-CNN'),
        page.table(head, rows),
        page.picture(
            data_uri(grid(pictures)),
            'Validation scenes: labels, and results with a score above 0.5.',
        ),
    ]


def how_it_was_run(out: Path, facts: dict) -> list[str]:
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
        f'seed {facts["seed"]}'
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
