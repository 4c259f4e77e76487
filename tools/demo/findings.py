"""What the demo's runs left on disk, read back."""

import json
import platform
from pathlib import Path

import cv2
import numpy as np

from sce_mm.utils.commands import read_scalars

METRICS = {
    'box AP': 'coco/bbox_mAP',
    'box AP50': 'coco/bbox_mAP_50',
    'mask AP': 'coco/segm_mAP',
    'mask AP50': 'coco/segm_mAP_50',
}


def detection(work_dir: Path) -> dict[str, float]:
    """COCO metrics of the last evaluation, in percent."""
    series = read_scalars(work_dir)
    # mmdet reports nothing if the detector found nothing: that is zero.
    return {
        name: 100 * series.get(key, [(0, 0.0)])[-1][1]
        for name, key in METRICS.items()
    }


def table(path: Path) -> dict[str, dict]:
    """Rows of an evaluation, under ``sce`` and ``random``."""
    rows = json.loads(path.read_text())
    return {
        'random' if row['network'].startswith('random') else 'sce': row
        for row in rows
    }


def scenes(data: Path, out: Path, count: int) -> list[dict]:
    """Validation scenes with truth and the results of both detectors.

    Returns:
        For each scene its ``image`` and lists of objects ``truth``, ``sce``
        and ``scratch``.
    """
    truth = json.loads((data / 'scenes' / 'val.json').read_text())
    found = []
    for entry in truth['images'][:count]:
        scene = {
            'image': cv2.imread(
                str(data / 'scenes' / 'val' / entry['file_name'])
            ),
            'truth': [
                a for a in truth['annotations'] if a['image_id'] == entry['id']
            ],
        }
        for name in ('sce', 'scratch'):
            # Nothing is written either if nothing was found.
            path = out / f'{name}.segm.json'
            results = json.loads(path.read_text()) if path.exists() else []
            scene[name] = [
                with_box(r)
                for r in results
                if r['image_id'] == entry['id'] and r['score'] > 0.5
            ]
        found.append(scene)
    return found


def with_box(result: dict) -> dict:
    """A mask result with the box around its mask."""
    from pycocotools import mask as coco_mask

    return result | {'bbox': coco_mask.toBbox(result['segmentation']).tolist()}


def labelled_tiles(
    data: Path, name: str
) -> tuple[list[np.ndarray], list[int]]:
    """Tiles and classes of the kNN bank or query set."""
    lines = (data / 'knn' / f'{name}.txt').read_text().split()
    names, labels = lines[::2], lines[1::2]
    images = [cv2.imread(str(data / 'knn' / name / n)) for n in names]
    return images, [int(label) for label in labels]


def processor() -> str:
    """Name of this machine's processor."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [x.split(':')[1].strip() for x in lines if 'model name' in x]
    return names[0] if names else platform.machine()
