"""Map of the features of a folder of images, by t-SNE or UMAP.

python tools/visualization/embed.py CONFIG CHECKPOINT --random-init \
    --data path/to/images --out map.png

Sub-folders are classes and give the colours; without classes the images
themselves are drawn. Needs scikit-learn and matplotlib.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use('agg')
import matplotlib.pyplot as plt
import numpy as np
from mmengine.dist import is_main_process

from sce_mm.cli.evaluation import (
    folder_parser,
    networks,
    open_config,
    open_folder,
)
from sce_mm.cli.exit import run_main
from sce_mm.evaluation.images import FolderImages, image_features
from sce_mm.utils.progress import track
from sce_mm.visualization.embedding import (
    METHODS,
    class_colours,
    draw_map,
    project,
)
from sce_mm.visualization.sheets import centre_square

# More names than that are no help.
LEGEND = 24


def parse_args() -> argparse.Namespace:
    """Arguments of the command line."""
    parser = folder_parser(__doc__, 'map.png', limit=2000)
    parser.add_argument('--method', choices=METHODS, default='tsne')
    parser.add_argument(
        '--nearby',
        type=float,
        default=30,
        help='perplexity of t-SNE, or number of neighbours of UMAP',
    )
    parser.add_argument(
        '--thumbnails',
        action='store_true',
        help='draw images on the points also where there are classes',
    )
    return parser.parse_args()


def draw(
    maps: dict[str, np.ndarray], images: FolderImages, args: argparse.Namespace
) -> None:
    """One panel for each network, and the classes beside them."""
    pictures = []
    if args.thumbnails or not images.labels:
        pictures = [
            centre_square(path, 64)[..., ::-1]
            for path in track(images.paths, 'Thumbnails')
        ]
    figure, panels = plt.subplots(
        1,
        len(maps),
        figsize=(6.4 * len(maps), 6.6),
        layout='constrained',
        squeeze=False,
    )
    for axes, (name, points) in zip(panels[0], maps.items(), strict=True):
        draw_map(axes, points, images.labels, images.classes, pictures)
        axes.set_title(name, fontsize=11, loc='left')
    if 0 < len(images.classes) <= LEGEND:
        handles = [
            plt.Line2D([], [], marker='o', linestyle='', color=colour)
            for colour in class_colours(len(images.classes))
        ]
        figure.legend(
            handles, images.classes, loc='outside right center', frameon=False
        )
    figure.savefig(args.out, dpi=130)
    plt.close(figure)


def main() -> None:
    """Project the features of each network and draw them side by side."""
    args = parse_args()
    cfg = open_config(args)
    images = open_folder(args)
    maps = {}
    for name, model in networks(cfg, args):
        features = image_features(
            model, images.dataset, args.batch_size, args.workers
        )
        if is_main_process():
            short = '/'.join(Path(name).parts[-2:])
            maps[short] = project(
                features.numpy(), args.method, args.nearby, args.seed
            )
    if is_main_process():
        draw(maps, images, args)
        print(f'{args.out}: {len(images.paths)} images')


if __name__ == '__main__':
    run_main(main)
