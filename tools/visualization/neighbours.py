"""Sheet of images and of those that a network finds most alike.

python tools/visualization/neighbours.py CONFIG CHECKPOINT --random-init \
    --data path/to/images --out neighbours.png

The queries are images of the folder itself, which are left out of their own
rows. Below each neighbour stands its cosine similarity; if sub-folders are
classes, green is the class of the query and red is another one.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.dist import is_main_process
from torch import Tensor

from sce_mm.cli.evaluation import (
    folder_parser,
    networks,
    open_config,
    open_folder,
)
from sce_mm.cli.exit import run_main
from sce_mm.evaluation import nearest
from sce_mm.evaluation.images import FolderImages, image_features
from sce_mm.visualization.sheets import captioned, centre_square, grid, titled

SIDE = 96


def parse_args() -> argparse.Namespace:
    """Arguments of the command line."""
    parser = folder_parser(__doc__, 'neighbours.png', limit=None)
    parser.add_argument('--queries', type=int, default=6, help='rows')
    parser.add_argument('--shown', type=int, default=8, help='columns')
    return parser.parse_args()


def choose_queries(images: FolderImages, count: int, seed: int) -> list[int]:
    """Images at random, one of each class first if there are classes."""
    order = np.random.default_rng(seed).permutation(len(images.paths)).tolist()
    if not images.labels:
        return order[:count]
    rounds: dict[int, int] = {}
    ranked = []
    for index in order:
        label = images.labels[index]
        rounds[label] = rounds.get(label, -1) + 1
        ranked.append((rounds[label], label, index))
    return [index for _, _, index in sorted(ranked)[:count]]


def neighbours_of(
    features: Tensor, queries: list[int], shown: int
) -> list[list[tuple[int, float]]]:
    """Index and similarity of the nearest other images of each query."""
    indices, similarities = nearest(features, features[queries], shown + 1)
    rows = []
    for query, found, values in zip(
        queries, indices.tolist(), similarities.tolist(), strict=True
    ):
        pairs = zip(found, values, strict=True)
        rows.append([pair for pair in pairs if pair[0] != query][:shown])
    return rows


def sheet(
    images: FolderImages,
    queries: list[int],
    rows: list[list[tuple[int, float]]],
) -> np.ndarray:
    """The queries at the left, their neighbours beside them."""
    pictures = []
    for query, row in zip(queries, rows, strict=True):
        name = images.classes[images.labels[query]] if images.labels else ''
        cells = [
            captioned(
                centre_square(images.paths[query], SIDE), name[:12] or 'query'
            )
        ]
        for index, similarity in row:
            right = (
                images.labels[index] == images.labels[query]
                if images.labels
                else None
            )
            cells.append(
                captioned(
                    centre_square(images.paths[index], SIDE),
                    f'{similarity:.3f}',
                    right,
                )
            )
        pictures.append(cells)
    return grid(pictures)


def heading(name: str, images: FolderImages, features: Tensor, k: int) -> str:
    """Name of a network, and how often neighbours are of the same class."""
    short = '/'.join(Path(name).parts[-2:])
    if not images.labels:
        return short
    everyone = list(range(len(images.paths)))
    labels = torch.tensor(images.labels)
    share = np.mean(
        [
            labels[index] == labels[query]
            for query, row in enumerate(neighbours_of(features, everyone, k))
            for index, _ in row
        ]
    )
    return f'{short}: {100 * share:.0f} % of the {k} nearest are of the class'


def main() -> None:
    """Draw the sheets of all networks below each other."""
    args = parse_args()
    cfg = open_config(args)
    images = open_folder(args)
    queries = choose_queries(images, args.queries, args.seed)
    parts = []
    for name, model in networks(cfg, args):
        features = image_features(
            model, images.dataset, args.batch_size, args.workers
        )
        if is_main_process():
            rows = neighbours_of(features, queries, args.shown)
            text = heading(name, images, features, args.shown)
            parts.append(titled(sheet(images, queries, rows), text))
    if is_main_process():
        cv2.imwrite(args.out, np.vstack(parts))
        print(f'{args.out}: {len(queries)} of {len(images.paths)} images')


if __name__ == '__main__':
    run_main(main)
