"""From a folder of unlabelled digits to a better detector, on a CPU.

    python tools/demo/run.py

Makes the data, pretrains SCE, measures its features, trains Mask R-CNN from
the SCE backbone and from random initialisation, and writes a report. Nothing
is downloaded; everything goes to work_dirs/demo.
"""

import json
import os
import shutil
import time
from argparse import Namespace
from pathlib import Path

# Arguments are read before the imports that take seconds.
__starts_light__ = True

from plan import STAGES, Demo, expectation

from sce_mm.cli.arguments import ArgumentParser, seed_number
from sce_mm.cli.exit import run_main
from sce_mm.utils.commands import run_together, training_step


def parse_args() -> Namespace:
    parser = ArgumentParser(__doc__)
    parser.add_argument('--work-dir', type=Path, default='work_dirs/demo')
    parser.add_argument('--seed', type=seed_number, default=0)
    parser.add_argument(
        '--fast', action='store_true', help='tiny amounts: only that it runs'
    )
    parser.add_argument(
        '--start',
        choices=STAGES,
        default=STAGES[0],
        help='first stage; what earlier ones left is used',
    )
    return parser.parse_args()


def run(demo: Demo, first: str) -> None:
    """All stages from ``first`` on; a failure names the log and stops.

    Raises:
        FileNotFoundError: An earlier stage was not run here.
        RuntimeError: It was run with other options, or a command failed.
    """
    from sce_mm.engine.optimizers.bf16 import computes_in_bfloat16
    from sce_mm.utils.progress import track

    skipped = STAGES[: STAGES.index(first)]
    facts = start_facts(demo, skipped)
    started = time.monotonic()
    if not demo.fast:
        print(f'[demo] {expectation(computes_in_bfloat16())}', flush=True)
    logs: list[Path] = []

    def note() -> str:
        # Of two side by side the first will do.
        return next(filter(None, map(training_step, logs)), '')

    for key in track(STAGES[len(skipped) :], 'demo', note=note):
        title, commands = demo.stages[key]
        print(f'[demo] {title} ...', flush=True)
        begun = time.monotonic()
        todo = commands()
        logs[:] = [command.log(demo.out / 'logs') for command in todo]
        # Commands of one stage do not need each other.
        run_together(todo, demo.out / 'logs')
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
        path = demo.out / 'facts.json'
        path.write_text(json.dumps(facts, indent=2))
    minutes = (time.monotonic() - started) / 60
    print(f'[demo] {minutes:.1f} minutes: {demo.out / "report.html"}')


def start_facts(demo: Demo, skipped: list[str]) -> dict:
    """What the page says of the run; removes what will be made again.

    Raises:
        FileNotFoundError: An earlier stage was not run here.
        RuntimeError: It was run with other options.
    """
    options = {'seed': demo.seed, 'fast': demo.fast}
    done = []
    if skipped:
        path = demo.out / 'facts.json'
        earlier = json.loads(path.read_text()) if path.is_file() else {}
        done = earlier.pop('stages', [])[: len(skipped)]
        if [stage['key'] for stage in done] != skipped:
            raise FileNotFoundError(
                f'{demo.out} lacks the stages before --start: run the demo '
                'from its first stage'
            )
        if earlier != options:
            raise RuntimeError(
                f'the stages in {demo.out} were run with {earlier}: use the '
                'same options, or start from the first stage'
            )
    for key in STAGES[len(skipped) :]:
        for name in demo.made.get(key, ()):
            shutil.rmtree(demo.out / name, ignore_errors=True)
    return {'stages': done, **options}


def main() -> None:
    args = parse_args()
    # What follows runs in the root of the project.
    out = args.work_dir.resolve()
    os.chdir(Path(__file__).resolve().parents[2])
    out.mkdir(parents=True, exist_ok=True)
    run(Demo(out, args.seed, args.fast), args.start)


if __name__ == '__main__':
    run_main(main)
