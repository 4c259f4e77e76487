"""Run the demo: pretrain, transfer, train detectors, write the report.

    python tools/demo/run.py

Makes the data, pretrains SCE, measures its features, trains Mask R-CNN from
the SCE backbone and from random initialisation, and writes a report. Nothing
is downloaded; everything goes to work_dirs/demo.
"""

import json
import os
import shutil
import time
from pathlib import Path

# Arguments are read before the imports that take seconds.
__starts_light__ = True

from plan import Demo, expectation

import sce_mm
from sce_mm.cli.argument_types import seed_number
from sce_mm.cli.arguments import ArgumentParser
from sce_mm.cli.exit import run_main
from sce_mm.utils.checks import require_own_folder
from sce_mm.utils.run_commands import run_together, training_step

# In each folder of a demo.
METADATA = 'metadata.json'


def run(demo: Demo) -> None:
    """All stages; a failure names the log and stops."""
    sce_mm.register()
    from sce_mm.config.machine import computes_in_bfloat16
    from sce_mm.utils.progress import Progress

    # What an earlier run left would be taken for a part of this one.
    for name in demo.made:
        shutil.rmtree(demo.out / name, ignore_errors=True)
    metadata = {'stages': [], 'seed': demo.seed}
    (demo.out / METADATA).write_text(json.dumps(metadata))
    started = time.monotonic()
    if not demo.fast:
        print(f'[demo] {expectation(computes_in_bfloat16())}', flush=True)
    logs: list[Path] = []

    def note() -> str:
        # Of two side by side the first will do.
        return next(filter(None, map(training_step, logs)), '')

    with Progress('demo', len(demo.stages), note) as progress:
        for title, commands in demo.stages:
            print(f'[demo] {title} ...', flush=True)
            before = time.monotonic()
            todo = commands()
            logs[:] = [command.log(demo.out / 'logs') for command in todo]
            # Commands of one stage do not need each other.
            run_together(todo, demo.out / 'logs', progress.wait)
            seconds = time.monotonic() - before
            print(f'[demo] {title}: {seconds:.0f} s', flush=True)
            shown = '\n'.join(command.shown() for command in todo)
            metadata['stages'].append([title, seconds, shown])
            # The last stage reads it.
            (demo.out / METADATA).write_text(json.dumps(metadata, indent=2))
            progress.advance()
    minutes = (time.monotonic() - started) / 60
    print(f'[demo] {minutes:.1f} minutes: {demo.out / "report.html"}')


def main() -> None:
    parser = ArgumentParser(__doc__)
    parser.add_argument('--work-dir', type=Path, default='work_dirs/demo')
    parser.add_argument('--seed', type=seed_number, default=0)
    parser.add_argument(
        '--fast', action='store_true', help='tiny amounts: only that it runs'
    )
    parser.add_argument(
        '--segmentation', action='store_true',
        help='train UPerNet on maps of labels too; mmseg is needed',
    )  # fmt: skip
    args = parser.parse_args()
    out = args.work_dir.resolve()
    # Folders in it are removed.
    require_own_folder(out, METADATA, 'demo')
    sce_mm.register()
    # What follows runs in the root of the project.
    os.chdir(Path(__file__).resolve().parents[2])
    out.mkdir(parents=True, exist_ok=True)
    run(Demo(out, args.seed, args.fast, args.segmentation))


if __name__ == '__main__':
    run_main(main)
