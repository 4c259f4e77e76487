"""The command line of estimate.py."""

import argparse
from pathlib import Path

import torch
from scaling import Network

from sce_mm.command_line import ArgumentParser, add_common_arguments
from sce_mm.step_timer import SECONDS


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
