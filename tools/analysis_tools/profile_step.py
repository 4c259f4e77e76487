"""Where the time of a training step goes, and what to change.

    python tools/analysis_tools/profile_step.py CONFIG --data path/to/images

Runs some steps of a config without hooks or logs and times each stage: the
wait for data, the transfer with its normalisation, the forward passes of the
target and of the online network, the loss, the backward pass, the optimiser,
the momentum average and the enqueue. Apart from that it times the transforms
of single images in this process, which says how many images a second the
workers can bring. On a GPU every stage waits for the one before, so that the
sum is longer than a step of a real run.
"""

# Not called profile.py: scripts beside it would then import it in the place
# of the module of that name in the standard library.

import argparse
import json
import os
import tempfile
from itertools import chain, repeat
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from sce_mm.analysis.advice import advise
from sce_mm.analysis.stages import (
    StageClock,
    seconds_per_image,
    take_steps,
    time_stages,
)
from sce_mm.cli.arguments import ArgumentParser, add_common_arguments
from sce_mm.cli.config_edits import load_config, set_data
from sce_mm.cli.exit import run_main
from sce_mm.cli.runner import build_runner, require_batches

WARM_UP = 2


def main() -> None:
    args = parse_args()
    with tempfile.TemporaryDirectory() as folder:
        args.work_dir = folder
        cfg = load_config(args)
        if args.data:
            set_data(cfg, args.data)
        cfg.log_level = 'ERROR'
        report = measure(cfg, args.steps, args.images)
    print_report(report)
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + '\n')


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--data', nargs='+', metavar='DIR')
    parser.add_argument('--steps', type=int, default=8)
    parser.add_argument(
        '--images', type=int, default=32, help='single images to time'
    )
    parser.add_argument('--json', type=Path, help='write the figures here')
    add_common_arguments(parser)
    return parser.parse_args()


def measure(cfg: Config, steps: int, images: int) -> dict:
    """Seconds of the stages, images a second, and advice."""
    runner = build_runner(cfg)
    runner._train_loop = runner.build_train_loop(cfg.train_cfg)
    require_batches(runner)
    loader = runner.train_dataloader
    dataset = loader.dataset
    transforms = seconds_per_image(
        dataset.pipeline.transforms,
        [dataset.get_data_info(i % len(dataset)) for i in range(images)],
    )
    stages = time_steps(runner, steps)
    batch, workers = loader.batch_sampler.batch_size, loader.num_workers
    precision = {
        'AmpOptimWrapper': 'float16',
        'BF16OptimWrapper': 'bfloat16',
    }.get(cfg.optim_wrapper.get('type'), 'float32')
    return {
        'batch': batch,
        'stages': stages,
        'seconds_per_step': sum(stages.values()),
        'transforms': transforms,
        'images_per_second_of_a_worker': 1 / sum(transforms.values()),
        'images_per_second': batch / sum(stages.values()),
        'advice': advise(
            stages,
            transforms,
            batch,
            workers,
            os.cpu_count() or 1,
            precision,
            cfg.model.get('channels_last', False),
        ),
    }


def time_steps(runner: Runner, steps: int) -> dict[str, float]:
    """Median seconds of each stage over the steps after the warm-up."""
    model = runner.model
    model.init_weights()
    optim_wrapper = runner.build_optim_wrapper(runner.cfg.optim_wrapper)
    clock = StageClock()
    time_stages(model, optim_wrapper, clock)
    # An epoch may be shorter than the steps asked for.
    batches = chain.from_iterable(repeat(runner.train_dataloader))
    take_steps(model, optim_wrapper, batches, clock, WARM_UP + steps)
    return clock.medians(skip=WARM_UP)


def print_report(report: dict) -> None:
    """The table, and what it means."""
    total = report['seconds_per_step']
    for name, seconds in report['stages'].items():
        print(f'{name:12s} {1e3 * seconds:9.1f} ms {seconds / total:6.1%}')
    print(
        f'{"step":12s} {1e3 * total:9.1f} ms   '
        f'{report["images_per_second"]:.1f} images/s'
    )
    for name, seconds in report['transforms'].items():
        print(f'{name:12s} {1e3 * seconds:9.2f} ms an image')
    for sentence in report['advice']:
        print(f'- {sentence}')


if __name__ == '__main__':
    run_main(main)
