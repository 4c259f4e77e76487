"""Seconds of a training step against what it cannot do without.

    python tools/dev/speed/step.py --json step.json
    python tools/dev/speed/step.py --setting resnet50-224 --json step.json

``bare network`` is the forward and backward pass of the online network over
two views and the forward pass of the target over both, in the same precision
and memory layout: no loss, no optimiser, no average, no queue. A whole step of
SCE (symmetric, queue of 65 536 keys, optimiser, average, enqueue) is put
beside it, with the same step as the official code takes it (dense loss with a
copy of the queue, average one parameter after the other), and with the steps
of mmpretrain's MoCo v3 (no queue) and MoCo v2 (one view a branch: half of the
work), and with lightly's MoCo v2 where lightly is installed. Inputs lie in
memory.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from lightly_peer import installed, lightly_step
from measuring import interleaved, machine
from mmengine.registry import init_default_scope
from step_candidates import CANDIDATES, Step
from step_models import SETTINGS

from sce_mm.cli.exit import run_main


def main() -> None:
    """Measure and print."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    init_default_scope('mmpretrain')
    setting = SETTINGS[args.setting]
    batch = args.batch or setting['batch']
    generator = torch.Generator().manual_seed(0)
    size = (batch, 3, setting['pixels'], setting['pixels'])
    views = [torch.randn(*size, generator=generator) for _ in range(2)]
    if args.channels_last:
        views = [
            x.contiguous(memory_format=torch.channels_last) for x in views
        ]
    autocast = partial(
        torch.autocast,
        'cpu',
        torch.bfloat16,
        enabled=args.precision == 'bfloat16',
    )
    candidates = {
        name: partial(make(setting, args.channels_last), views, autocast)
        for name, make in present().items()
        if name not in args.without
    }
    report = {
        'setting': args.setting,
        'batch': batch,
        'precision': args.precision,
        'channels_last': args.channels_last,
        'machine': machine(),
    }
    seconds = interleaved(candidates, args.repeats)
    bare = seconds['bare network']
    report['seconds'] = seconds
    report['times_the_bare_network'] = {
        name: value / bare for name, value in seconds.items()
    }
    for name, value in seconds.items():
        print(f'{name:22s} {value:7.3f} s  {value / bare:5.2f} x the network')
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + '\n')


def present() -> dict[str, Callable[[dict, bool], Step]]:
    """The candidates, with lightly's where it is installed."""
    lightly = {'lightly MoCo v2': lightly_step} if installed() else {}
    return CANDIDATES | lightly


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--setting', choices=SETTINGS, default='resnet18-32')
    parser.add_argument('--batch', type=int, help="instead of the setting's")
    parser.add_argument(
        '--precision', choices=['float32', 'bfloat16'], default='float32'
    )
    parser.add_argument('--channels-last', action='store_true')
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument(
        '--without',
        nargs='*',
        default=[],
        choices=sorted(set(CANDIDATES) - {'bare network'}),
        help='candidates to leave out',
    )
    parser.add_argument('--json', type=Path, help='write the figures here')
    return parser.parse_args()


if __name__ == '__main__':
    run_main(main)
