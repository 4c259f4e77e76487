"""Make the demo's data from images inside installed Python packages.

    python tools/demo/make_data.py OUT [--seed 0]

OUT gets ``unlabelled/`` (tiles with a digit each, no labels anywhere),
``knn/`` (labelled tiles, for evaluation only) and ``scenes/`` (few labelled
training scenes and validation scenes with boxes and masks in COCO format and
as maps of labels). No digit and no photograph of the evaluation is seen in any
training.
"""

import json
from pathlib import Path
from typing import NamedTuple

__starts_light__ = True

import cv2
import numpy as np
from drawing import background, draw, stamp
from numpy.random import Generator
from scenes import Scene, make_scene
from sources import (
    CLASSES,
    HELD_OUT_PHOTOS,
    TRAIN_PHOTOS,
    load_digits,
    load_photos,
    split_digits,
)

from sce_mm.cli.arguments import ArgumentParser
from sce_mm.cli.exit import run_main

# Side of a tile, and larger side of the digit in it, in pixels.
TILE = 44
TILE_DIGIT = (28, 40)
# Backgrounds of tiles are soft: what both views of a tile share must be the
# digit, or the network learns to tell the photographs apart instead.
TILE_CONTRAST = 0.4
TILE_BLUR = 4.0


class Amounts(NamedTuple):
    unlabelled: int = 6000
    bank: int = 1000
    query: int = 750
    train_scenes: int = 60
    val_scenes: int = 100


FULL = Amounts()
FAST = Amounts(unlabelled=64, bank=100, query=50, train_scenes=8, val_scenes=4)


def make_tile(
    digit: np.ndarray, photos: list[np.ndarray], rng: Generator
) -> np.ndarray:
    """A digit on a soft piece of a photograph, ``[TILE, TILE, 3]`` uint8."""
    photo = photos[int(rng.integers(len(photos)))]
    canvas = background(photo, TILE, rng, (1.0, 3.0), TILE_CONTRAST)
    canvas = cv2.GaussianBlur(canvas, (0, 0), TILE_BLUR)
    alpha = stamp(digit, int(rng.integers(*TILE_DIGIT)), rng)
    top = int(rng.integers(TILE - alpha.shape[0] + 1))
    left = int(rng.integers(TILE - alpha.shape[1] + 1))
    draw(canvas, alpha, top, left, rng)
    return canvas


def write_tiles(
    folder: Path,
    digits: np.ndarray,
    photos: list[np.ndarray],
    rng: Generator,
) -> list[str]:
    """Write a tile for each digit; names are numbers and tell nothing."""
    folder.mkdir(parents=True)
    names = [f'{index:05d}.png' for index in range(len(digits))]
    for name, digit in zip(names, digits, strict=True):
        cv2.imwrite(str(folder / name), make_tile(digit, photos, rng))
    return names


def write_scenes(folder: Path, name: str, scenes: list[Scene]) -> None:
    """Images, a COCO file of boxes and masks, and a map of labels of each."""
    maps = folder / f'{name}_maps'
    (folder / name).mkdir(parents=True)
    maps.mkdir()
    images, annotations = [], []
    for index, scene in enumerate(scenes):
        file_name = f'{index:04d}.png'
        cv2.imwrite(str(folder / name / file_name), scene.image)
        cv2.imwrite(str(maps / file_name), scene.label_map())
        height, width = scene.image.shape[:2]
        size = {'width': width, 'height': height}
        images.append({'id': index, 'file_name': file_name, **size})
        for instance in scene.instances:
            place = {'id': len(annotations) + 1, 'image_id': index}
            annotations.append(place | instance.annotation())
    content = {
        'images': images,
        'annotations': annotations,
        'categories': [{'id': i, 'name': n} for i, n in enumerate(CLASSES)],
    }
    (folder / f'{name}.json').write_text(json.dumps(content))


def make_data(out: Path, seed: int, amounts: Amounts = FULL) -> None:
    """Write everything below ``out``, which must not exist."""
    images, labels = load_digits()
    split = split_digits(labels, np.random.default_rng(seed))
    seen_photos = load_photos(TRAIN_PHOTOS)
    held_out_photos = load_photos(HELD_OUT_PHOTOS)

    def rng(part: int) -> Generator:
        return np.random.default_rng([seed, part])

    # Which digit is where: for the tests, nothing trains on it.
    provenance: dict[str, list] = {}
    order = rng(1)
    rounds = -(-amounts.unlabelled // len(split.seen))
    rows = np.ravel([order.permutation(split.seen) for _ in range(rounds)])
    rows = rows[: amounts.unlabelled]
    write_tiles(out / 'unlabelled', images[rows], seen_photos, rng(2))
    provenance['unlabelled'] = rows.tolist()
    for part, name, pool, count, photos in (
        (0, 'bank', split.seen, amounts.bank, seen_photos),
        (1, 'query', split.query, amounts.query, held_out_photos),
    ):
        folder = out / 'knn' / name
        rows = rng(10 + part).permutation(pool)[:count]
        names = write_tiles(folder, images[rows], photos, rng(20 + part))
        lines = map('{} {}\n'.format, names, labels[rows])
        folder.with_suffix('.txt').write_text(''.join(lines))
        provenance[name] = rows.tolist()
    for part, name, pool, count, photos in (
        (0, 'train', split.seen, amounts.train_scenes, seen_photos),
        (1, 'val', split.val, amounts.val_scenes, held_out_photos),
    ):
        chance = rng(30 + part)
        scenes = [
            make_scene(images, labels, pool, photos, chance)
            for _ in range(count)
        ]
        write_scenes(out / 'scenes', name, scenes)
        provenance[name] = [[t.row for t in s.instances] for s in scenes]
    (out / 'provenance.json').write_text(json.dumps(provenance))


def main() -> None:
    parser = ArgumentParser(__doc__)
    parser.add_argument('out', type=Path)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--fast', action='store_true', help='tiny amounts')
    args = parser.parse_args()
    make_data(args.out, args.seed, FAST if args.fast else FULL)


if __name__ == '__main__':
    run_main(main)
