"""Run a command of the project by its name.

    sce train CONFIG --data DIR
    python -m sce_mm train CONFIG --data DIR

are the same. Nothing of a command is imported before it is named, and nothing
here takes seconds.
"""

import ast
import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from .cli import commands
from .cli.command_names import MODULE
from .cli.exit import run_main
from .utils import signals
from .utils.checks import did_you_mean
from .version import __version__

# In the order of the work; what is not named stands at the end.
GROUPS = {
    'Before': ('doctor', 'data', 'views', 'estimate', 'cache', 'shards'),
    'Pretrain': ('recipes', 'train', 'test'),
    'Look at the features': (
        *('knn', 'linear-probe', 'linear-transfer', 'svm'),
        *('features', 'neighbours', 'embed', 'sweep'),
    ),
    'Use the weights': (
        *('extract', 'export', 'detector', 'segmentor', 'verify'),
        'compare',
    ),
    'Labels': (
        *('coco-subset', 'voc-to-coco', 'imagenet-subset'),
        'tiny-imagenet',
    ),
    'When something is wrong': ('profile', 'replay'),
}


def command_files() -> dict[str, Path]:
    """The file of each command."""
    (folder,) = map(Path, commands.__path__)
    files = sorted(folder.glob('[!_]*.py'))
    return {path.stem.replace('_', '-'): path for path in files}


def groups() -> dict[str, tuple[str, ...]]:
    """Names of all commands, by the part of the work."""
    named = {name for group in GROUPS.values() for name in group}
    others = tuple(name for name in command_files() if name not in named)
    return GROUPS | {'Others': others}


def overview() -> str:
    """All commands, with the first line of what each says."""
    files = command_files()
    lines = ['usage: sce COMMAND [options]; sce COMMAND --help lists them']
    for group, names in groups().items():
        lines += ['', f'{group}:'] * bool(names)
        for name in names:
            tree = ast.parse(files[name].read_text(encoding='utf-8'))
            said = (ast.get_docstring(tree) or '').partition('\n')[0]
            lines.append(f'  {name:16s} {said}')
    return '\n'.join(lines)


def main() -> NoReturn:
    """Run the command that the first word names, with the other words."""
    run_main(_command)


def _command() -> None:
    name, *words = sys.argv[1:] or ['']
    files = command_files()
    if name in ('--version', '-V'):
        print(f'sce_mm {__version__}')
        sys.exit()
    if name in ('', '-h', '--help'):
        print(overview())
        sys.exit(0 if name else 2)
    if name not in files:
        sys.exit(
            f'error: there is no command {name}'
            f'{did_you_mean(name, [*files])}; sce --help lists them'
        )
    if name == 'train':
        signals.end_early()
    # As if the command were a program of that name.
    module = ('-m', 'sce_mm') in pairwise(sys.orig_argv)
    sys.argv = [f'{MODULE if module else "sce"} {name}', *words]
    command = import_module(f'{commands.__name__}.{files[name].stem}')
    command.main()


if __name__ == '__main__':
    main()
