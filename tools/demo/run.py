"""From a folder of unlabelled digits to a better detector, on a CPU.

    python tools/demo/run.py

Makes the data, pretrains SCE, measures its features, trains Mask R-CNN from
the SCE backbone and from random initialisation, and writes a report. Nothing
is downloaded; everything goes to work_dirs/demo.
"""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from commands import Command, run_together

CONFIGS = Path('configs/demo')
PRETRAINING = CONFIGS / 'sce_resnet18_demo.py'
DETECTORS = {
    'sce': CONFIGS / 'mask-rcnn_r18-sce-pre_fpn_demo.py',
    'scratch': CONFIGS / 'mask-rcnn_r18-scratch_fpn_demo.py',
}
FAST_PRETRAINING = (
    'train_cfg.max_epochs=2',
    'param_scheduler.1.end=2',
    'train_dataloader.batch_size=32',
)
FAST_DETECTOR = (
    'train_cfg.max_epochs=2',
    'train_cfg.val_interval=2',
    'param_scheduler.0.end=1',
    'param_scheduler.1.begin=1',
    'param_scheduler.1.end=2',
    'default_hooks.checkpoint.interval=2',
)


class Demo:
    """The stages, each made of commands of the project.

    Args:
        out: Where everything goes.
        seed: Of data and trainings.
        fast: Tiny amounts, to see that it runs.
    """

    def __init__(self, out: Path, seed: int, fast: bool) -> None:
        self.out = out
        self.seed = seed
        self.fast = fast
        self.data = out / 'data'
        self.work = out / 'sce'
        self.backbone = out / 'backbone.pth'
        self.stages: dict[str, tuple[str, Callable[[], list[Command]]]] = {
            'data': ('make the data', self.make_data),
            'pretrain': ('pretrain SCE', self.pretrain),
            'measure': ('measure the features', self.measure),
            'extract': ('extract the backbone', self.extract),
            'detect': ('train Mask R-CNN twice, side by side', self.detect),
            'report': ('write the report', self.report),
        }

    def run(self, first: str) -> None:
        """All stages from ``first`` on; a failure names the log and stops.

        Raises:
            FileNotFoundError: An earlier stage was not run here.
            RuntimeError: A command failed.
        """
        keys = list(self.stages)
        skipped = keys[: keys.index(first)]
        facts = self.facts(skipped)
        started = time.monotonic()
        for key in keys[len(skipped) :]:
            title, commands = self.stages[key]
            print(f'[demo] {title} ...', flush=True)
            begun = time.monotonic()
            todo = commands()
            # Commands of one stage do not need each other.
            run_together(todo, self.out / 'logs')
            seconds = time.monotonic() - begun
            print(f'[demo] {title}: {seconds:.0f} s', flush=True)
            facts['stages'].append(
                {
                    'key': key,
                    'name': title,
                    'seconds': seconds,
                    'command': '\n'.join(c.shown() for c in todo),
                }
            )
            path = self.out / 'facts.json'
            path.write_text(json.dumps(facts, indent=2))
        minutes = (time.monotonic() - started) / 60
        print(f'[demo] {minutes:.1f} minutes: {self.out / "report.html"}')

    def facts(self, skipped: list[str]) -> dict:
        """What the page says of the run; clears what will be made anew."""
        folders = {
            'data': ['data', 'logs'],
            'pretrain': ['sce'],
            'detect': [f'detector_{name}' for name in DETECTORS],
        }
        path = self.out / 'facts.json'
        done: list[dict] = []
        if skipped:
            if not path.is_file():
                raise FileNotFoundError(
                    f'{path} is missing: run the demo from its first stage'
                )
            done = json.loads(path.read_text())['stages'][: len(skipped)]
            if [stage['key'] for stage in done] != skipped:
                raise FileNotFoundError(
                    f'{self.out} has only the stages '
                    f'{[stage["key"] for stage in done]}: start from the next'
                )
        for key, names in folders.items():
            for name in names if key not in skipped else []:
                shutil.rmtree(self.out / name, ignore_errors=True)
        return {'stages': done, 'seed': self.seed, 'fast': self.fast}

    def make_data(self) -> list[Command]:
        words = [self.data, '--seed', self.seed]
        words += ['--fast'] if self.fast else []
        return [Command('tools/demo/make_data.py', words)]

    def pretrain(self) -> list[Command]:
        options = [
            f'train_dataloader.dataset.data_root={self.data}/unlabelled',
            *self.labelled(),
            *(FAST_PRETRAINING if self.fast else ()),
        ]
        if not computes_in_bfloat16():
            print('[demo] no bfloat16 on this CPU: float32, which is slower')
            options.append('optim_wrapper.type=OptimWrapper')
        return [self.training(PRETRAINING, self.work, options, 2)]

    def labelled(self) -> list[str]:
        """Seed, and where the tiles of the kNN evaluation are."""
        return [f'randomness.seed={self.seed}'] + [
            f'custom_hooks.2.{part}.dataset.data_root={self.data}/knn'
            for part in ('bank', 'query')
        ]

    def measure(self) -> list[Command]:
        common = [PRETRAINING, self.checkpoint(), '--random-init']
        options = ['--cfg-options', *self.labelled()]
        return [
            Command(
                f'tools/benchmarks/{tool}.py',
                [*common, '--out', self.out / f'{tool}.json', *options],
            )
            for tool in ('knn', 'linear_probe')
        ]

    def checkpoint(self) -> Path:
        """The last checkpoint of the pretraining."""
        return Path((self.work / 'last_checkpoint').read_text().strip())

    def extract(self) -> list[Command]:
        words = [self.checkpoint(), self.backbone, '--overwrite']
        return [Command('tools/model_converters/extract_backbone.py', words)]

    def detect(self) -> list[Command]:
        return [self.detector(name) for name in DETECTORS]

    def detector(self, name: str) -> Command:
        scenes = self.data / 'scenes'
        options = [
            f'train_dataloader.dataset.data_root={scenes}/',
            f'val_dataloader.dataset.data_root={scenes}/',
            f'val_evaluator.ann_file={scenes}/val.json',
            f'val_evaluator.outfile_prefix={self.out}/{name}',
            f'randomness.seed={self.seed}',
            *(FAST_DETECTOR if self.fast else ()),
        ]
        if name == 'sce':
            key = 'model.backbone.init_cfg.checkpoint'
            options.append(f'{key}={self.backbone}')
        work_dir = self.out / f'detector_{name}'
        return self.training(DETECTORS[name], work_dir, options, 1)

    def training(
        self, config: Path, work_dir: Path, options: list[str], threads: int
    ) -> Command:
        words = [config, '--work-dir', work_dir, '--cfg-options', *options]
        return Command('tools/train.py', words, work_dir.name, threads)

    def report(self) -> list[Command]:
        return [Command('tools/demo/report.py', [self.out])]


def computes_in_bfloat16() -> bool:
    """Whether bfloat16 is faster than float32 on this processor (Linux)."""
    try:
        flags = Path('/proc/cpuinfo').read_text().split()
    except OSError:
        return False
    return 'avx512_bf16' in flags or 'amx_bf16' in flags


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--work-dir', type=Path, default='work_dirs/demo')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--fast', action='store_true', help='tiny amounts: only that it runs'
    )
    stages = list(Demo(Path(), 0, False).stages)
    parser.add_argument(
        '--start',
        choices=stages,
        default=stages[0],
        help='first stage; what earlier ones left is used',
    )
    args = parser.parse_args()
    # What follows runs in the root of the project.
    out = args.work_dir.resolve()
    os.chdir(Path(__file__).resolve().parents[2])
    out.mkdir(parents=True, exist_ok=True)
    try:
        Demo(out, args.seed, args.fast).run(args.start)
    except (FileNotFoundError, RuntimeError) as error:
        sys.exit(f'[demo] {error}')


if __name__ == '__main__':
    main()
