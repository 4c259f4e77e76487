"""Processor seconds of commands from their start, each in a new process.

    python tools/dev/speed/start.py --json start.json

``sce train`` is stopped when its first iteration begins; imports that it
cannot do without are measured beside it. Counted is the time of the process
and of the processes that it has waited for, not of those that load data. The
first round writes the byte code of all packages to a new folder and is a line
of its own: so long takes the first start after an installation that has
compiled nothing.
"""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

__starts_light__ = True  # Parts of this file are run before torch is there.

RECIPE = 'sce_resnet18_1xb64-coslr-200e_folder'
IMPORTS = {
    'import torch': 'torch',
    'and torchvision, mmengine.runner': 'torch, torchvision, mmengine.runner',
    'and mmpretrain and sce_mm': (
        'torch, torchvision, mmengine.runner; import sce_mm; sce_mm.register()'
    ),
}
FIRST = 'sce train, to the first iteration'
COMMANDS = {
    'sce --help': ['--help'],
    'sce train --help': ['train', '--help'],
    'sce data': ['data', 'images'],
    FIRST: [
        *('train', RECIPE, '--data', 'images', '--epochs', '1'),
        *('--batch-size', '64', '--work-dir', 'work'),
    ],
}
# How many images lie in the folder.
IMAGES = 128


def measure(repeats: int) -> dict[str, Any]:
    """Processor seconds of each part, in turn, with byte code and without."""
    from measuring import machine

    found: dict[str, Any] = {'machine': machine()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder / 'images')
        rounds = [
            {part: run() for part, run in parts(folder).items()}
            for _ in range(repeats + 1)
        ]
        fresh = processor_seconds(
            folder, COMMANDS[FIRST], PYTHONDONTWRITEBYTECODE='1'
        )
    found['seconds'] = {
        part: median(each[part] for each in rounds[1:]) for part in rounds[0]
    }
    found['seconds'][f'{FIRST}, without byte code'] = fresh
    return found


def parts(folder: Path) -> dict[str, Callable[[], float]]:
    """What is measured, by its name."""
    cached = {'PYTHONPYCACHEPREFIX': str(folder / 'byte-code')}
    imports = {
        # As commands end, whose interpreters are not taken down.
        name: partial(
            seconds_of_code,
            folder,
            f'import os, {modules}; os._exit(0)',
            **cached,
        )
        for name, modules in IMPORTS.items()
    }
    commands = {
        name: partial(processor_seconds, folder, words, **cached)
        for name, words in COMMANDS.items()
    }
    return imports | commands


def processor_seconds(folder: Path, words: list[str], **more: str) -> float:
    """Processor seconds of ``sce`` with these words, in a folder."""
    return seconds_of_code(
        folder, 'import start, sys; start.begin(sys.argv[1:])', *words, **more
    )


def seconds_of_code(
    folder: Path, code: str, *words: str, **more: str
) -> float:
    """Processor seconds of a new Python that runs some code, then ends."""
    tools, root = Path(__file__).parent, Path(__file__).parents[3]
    environment = {
        **{k: v for k, v in os.environ.items() if k[:8] != 'PYTHONDO'},
        'PYTHONPYCACHEPREFIX': str(folder / 'none'),
        'PYTHONPATH': f'{tools}{os.pathsep}{root}',
        **more,
    }
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f'{words or code}: {done.stderr[-2000:]}')
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def begin(words: list[str], report: Callable[[], None] | None = None) -> None:
    """Be ``sce`` with these words; end when a first iteration begins.

    Args:
        words: Words behind ``sce``.
        report: Called when it begins.
    """
    sys.argv = ['sce', *words]
    import sce_mm
    from sce_mm.__main__ import main

    register = sce_mm.register

    def register_and_stop() -> None:
        register()
        from mmengine.runner import EpochBasedTrainLoop

        def stop(*_: Any) -> None:
            if report:
                report()
            sys.stdout.flush()
            os._exit(0)

        EpochBasedTrainLoop.run_iter = stop

    sce_mm.register = register_and_stop
    main()


def write_images(folder: Path) -> None:
    """Different parts of photographs, as JPEG files of a usual size."""
    from shards import write_photographs

    write_photographs(folder, IMAGES)


def table(report: dict[str, Any]) -> str:
    """Processor seconds of each part."""
    from measuring import table_text

    rows = [
        f'| {part} | {seconds:.1f} |'
        for part, seconds in report['seconds'].items()
    ]
    header = '| part | processor seconds |'
    return table_text(report['machine'], header, rows)


def main() -> None:
    from measuring import command

    command(__doc__, measure, table, repeats=5)


if __name__ == '__main__':
    from sce_mm.cli.exit import run_main

    run_main(main)
