"""What a training needs: memory, hours, the largest batch, several GPUs.

    python tools/analysis_tools/estimate.py CONFIG --data path/to/images
    python tools/analysis_tools/estimate.py CONFIG --images 1281167 --gpus 8

Counts the memory of a process without training, then trains for half a minute
in a process of its own, which gives the images a second and, to compare, the
memory that was really taken. Images come from the config's data set if it is
there, or else are noise in memory, and then the time to load them is in no
figure. What a GPU needs besides tensors (context, workspaces of convolutions,
fragmentation) is not counted; a tenth of its memory is left for it.
"""

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path

import torch
from mmengine.config import Config

from sce_mm.analysis.estimate_text import GB, lines
from sce_mm.analysis.memory import Memory, batch_multiple, count_memory
from sce_mm.analysis.probe import probe
from sce_mm.analysis.scaling import (
    Network,
    communication,
    hours,
    largest_batch,
)
from sce_mm.analysis.step_timer import SECONDS
from sce_mm.analysis.traffic import count_traffic
from sce_mm.cli.arguments import ArgumentParser, add_common_arguments
from sce_mm.cli.config_edits import load_config, set_data
from sce_mm.cli.exit import run_main
from sce_mm.config.parts import innermost_dataset

USABLE = 0.9


def main() -> None:
    args = parse_args(__doc__)
    cfg = load_config(args)
    if args.data:
        set_data(cfg, args.data)
    report = estimate(cfg, args)
    print('\n'.join(lines(report, USABLE)))
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + '\n')


def estimate(cfg: Config, args: argparse.Namespace) -> dict:
    """All figures; seconds, bytes and images.

    Raises:
        ValueError: Options do not fit together or the data are missing.
    """
    loading = has_data(cfg)
    epochs = check(cfg, args, loading)
    batch = cfg.train_dataloader.batch_size
    memory = count_memory(cfg)
    device_bytes = (
        GB * args.device_memory
        if args.device_memory
        else memory_of(args.device)
    )
    cfg.train_dataloader.batch_size = args.probe_batch or batch
    measured = probe(cfg, args.device, args.probe_seconds, loading)
    images = args.images or measured['images']
    report = {
        'config': Path(cfg.filename).name,
        'batch': batch,
        'memory': memory.parts(batch),
        'memory_total': memory.total(batch),
        'device': args.device,
        'device_bytes': device_bytes,
        'largest_batch': fitting(cfg, memory, device_bytes),
        'loading': loading,
        'probe': measured
        | {
            'batch': args.probe_batch or batch,
            'estimated_bytes': memory.total(args.probe_batch or batch),
        },
        'images': images,
        'epochs': epochs,
        'hours': hours(images, epochs, measured['images_per_second']),
    }
    if args.gpus > 1:
        report['distributed'] = distribute(
            cfg, report, batch, args.gpus, network(args)
        )
    return report


def check(cfg: Config, args: argparse.Namespace, loading: bool) -> int:
    """Epochs of the config, if everything that is needed is there.

    Raises:
        ValueError: Something is not.
    """
    if not loading and not args.images:
        raise ValueError(
            'the images of this config are not here, so say how many there '
            'are, for example --images 1281167 for ImageNet-1k; or give '
            '--data DIR'
        )
    if args.device == 'cuda' and not torch.cuda.is_available():
        raise ValueError('--device cuda: there is no GPU here, use cpu')
    if args.gpus < 1:
        raise ValueError(f'--gpus must be at least 1, got {args.gpus}')
    epochs = cfg.get('train_cfg', {}).get('max_epochs')
    if not epochs:
        raise ValueError(
            'the estimate multiplies images with train_cfg.max_epochs, which '
            'this config has not'
        )
    return epochs


def has_data(cfg: Config) -> bool:
    """Whether the folders of the training data set are there."""
    _, dataset = innermost_dataset(cfg)
    roots = dataset.get('data_root') or []
    roots = [roots] if isinstance(roots, str) else roots
    return bool(roots) and all(Path(root).is_dir() for root in roots)


def memory_of(device: str) -> int:
    """Bytes of the GPU, or of the machine."""
    if device == 'cuda':
        return torch.cuda.get_device_properties(0).total_memory
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')


def fitting(cfg: Config, memory: Memory, device_bytes: float) -> int:
    """The largest batch of a process."""
    return largest_batch(
        USABLE * device_bytes,
        memory.fixed,
        memory.per_image,
        batch_multiple(cfg),
    )


def distribute(
    cfg: Config, report: dict, batch: int, n: int, network: Network
) -> dict:
    """The step of n processes, each with the batch of the config."""
    share = batch / report['probe']['batch']
    backward = share * report['probe']['backward_seconds']
    added = communication(count_traffic(cfg, batch), n, backward, network)
    alone = batch / report['probe']['images_per_second']
    seconds = alone + sum(added.values())
    rate = n * batch / seconds
    return {
        'processes': n,
        'network': asdict(network),
        'communication_seconds': added,
        'seconds_per_step': seconds,
        'images_per_second': rate,
        'efficiency': alone / seconds,
        'hours': hours(report['images'], report['epochs'], rate),
    }


if __name__ == '__main__':
    run_main(main)


def network(args: argparse.Namespace) -> Network:
    """What connects the processes."""
    return Network(1e9 * args.bandwidth, 1e-6 * args.latency, args.overlap)


def parse_args(description: str) -> argparse.Namespace:
    """The options, parsed."""
    parser = ArgumentParser(description)
    parser.add_argument('config', help='config file')
    parser.add_argument('--data', nargs='+', metavar='DIR')
    parser.add_argument(
        '--images', type=int, help='of the data set, where it is not here'
    )
    parser.add_argument(
        '--device',
        choices=['cpu', 'cuda'],
        default='cuda' if torch.cuda.is_available() else 'cpu',
    )
    parser.add_argument(
        '--device-memory',
        type=float,
        metavar='GB',
        help="of 2^30 bytes; by default the device's own",
    )
    parser.add_argument('--gpus', type=int, default=1, metavar='N')
    parser.add_argument('--probe-seconds', type=float, default=SECONDS)
    parser.add_argument(
        '--probe-batch',
        type=int,
        help="images of a step of the probe, by default the config's batch",
    )
    parser.add_argument(
        '--bandwidth',
        type=float,
        default=10,
        metavar='GB/S',
        help='10^9 bytes a second that a process sends (default: 10)',
    )
    parser.add_argument(
        '--latency',
        type=float,
        default=20,
        metavar='US',
        help='microseconds of each message (default: 20)',
    )
    parser.add_argument(
        '--overlap',
        type=float,
        default=0.5,
        help='share of the backward pass that hides gradients that travel '
        '(default: 0.5)',
    )
    parser.add_argument('--json', type=Path, help='write the figures here')
    add_common_arguments(parser)
    return parser.parse_args()
