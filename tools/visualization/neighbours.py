"""Write a page of images beside their nearest neighbours.

python tools/visualization/neighbours.py CONFIG CHECKPOINT --random-init \
    --data path/to/images --out neighbours.html

The queries are images of the folder itself, which are left out of their own
rows. Below each neighbour stands its cosine similarity; if sub-folders are
classes, a whole frame is the class of the query and a dashed one another.
"""

import argparse
from pathlib import Path

# Arguments are read before the imports that take seconds.
__starts_light__ = True

import sce_mm
from sce_mm.cli.evaluation_arguments import image_folder_parser, parse_networks
from sce_mm.cli.exit import run_main


def parse_args() -> argparse.Namespace:
    parser = image_folder_parser(__doc__, 'neighbours.html', limit=None)
    parser.add_argument('--queries', type=int, default=6, help='rows')
    parser.add_argument('--shown', type=int, default=8, help='columns')
    return parse_networks(parser)


def main() -> None:
    args = parse_args()
    sce_mm.register()
    from mmengine.dist import is_main_process

    from sce_mm.cli.evaluation import folder_networks, open_config, open_folder
    from sce_mm.visualization import page
    from sce_mm.visualization.sheets import choose_queries, neighbour_sheet

    cfg = open_config(args)
    images = open_folder(args)
    queries = choose_queries(images, args.queries, args.seed)
    sheets = [
        neighbour_sheet(name, images, features, queries, args.shown)
        for name, features in folder_networks(cfg, args, images)
    ]
    if is_main_process():
        text = page.page('Neighbours', [page.heading('Neighbours'), *sheets])
        Path(args.out).write_text(text, encoding='utf-8')
        print(f'{args.out}: {len(queries)} of {len(images.paths)} images')


if __name__ == '__main__':
    run_main(main)
