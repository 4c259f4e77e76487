"""Write docs/commands.md from the parsers of the commands.

python tools/dev/commands_page.py

A test compares the page with the parsers.
"""

import argparse
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import NoReturn
from unittest import mock

from sce_mm import __main__ as entry
from sce_mm.cli import commands
from sce_mm.cli.arguments import ArgumentParser

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'commands.md'
HEAD = """\
# Options of the commands

This page is what `sce COMMAND --help` says, for all commands, as written by
`tools/dev/commands_page.py`. `sce COMMAND` and `python -m sce_mm COMMAND` are
the same; in a clone, many commands have a script under `tools` too. Words in
capitals stand for values of yours, and what is in square brackets may be left
out.

## Options of many commands

Every command has `--debug`; the section of a command names which of the others
it has.
"""
# An option of as many commands stands in their common table.
MANY = 7
EVERYWHERE = '--debug'


class _ParserFound(Exception):  # noqa: N818 (it is not an error)
    """Carries the parser of a command that was about to use it."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def parser_of(name: str, module: str) -> argparse.ArgumentParser:
    """The parser of a command: what its ``main`` would read arguments with.

    Args:
        name: Name as it is typed after ``sce``.
        module: Name of its file in ``sce_mm/cli/commands``.
    """

    def stop(parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        raise _ParserFound(parser)

    with (
        mock.patch.object(sys, 'argv', [f'sce {name}']),
        mock.patch.object(argparse.ArgumentParser, 'parse_args', stop),
        mock.patch.object(ArgumentParser, 'parse_args', stop),
    ):
        try:
            import_module(f'{commands.__name__}.{module}').main([])
        except _ParserFound as found:
            return found.parser
    raise ValueError(f'the command {name} has read no arguments')


def cell(text: str) -> str:
    """Text that stays in one cell of a table."""
    return ' '.join(text.split()).replace('|', '\\|').replace('<', '&lt;')


def with_code(text: str) -> str:
    """Text whose options, ``--so``, and lines of configs are code."""
    text = re.sub(r"_base_ = '[^']+'", r'`\g<0>`', text)
    return re.sub(r'(?<![\w`-])(--[a-z][\w-]*)', r'`\1`', text)


def values(action: argparse.Action) -> str:
    """What follows an option, such as ``DIR [DIR ...]``."""
    if action.nargs == 0:
        return ''
    if action.choices is not None and action.metavar is None:
        one = '{' + ','.join(map(str, action.choices)) + '}'
    else:
        one = action.metavar or action.dest.upper()
    if isinstance(one, tuple):
        last = f'[{one[-1]} ...]' if action.nargs == '+' else one[-1]
        return ' '.join([*one[:-1], last])
    if isinstance(action.nargs, int):
        return ' '.join([one] * action.nargs)
    forms = {'?': '[{0}]', '*': '[{0} ...]', '+': '{0} [{0} ...]'}
    return forms.get(action.nargs or '', '{0}').format(one)


def row(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    """The row of an argument: how it is typed, and what it means."""
    if action.option_strings:
        first = action.option_strings[0]
        typed = f'`{" ".join([first, values(action)]).strip()}`'
        # -o, --out
        others = [f'`{name}`' for name in action.option_strings[1:]]
        typed = ', '.join([*others, typed])
    else:
        typed = f'`{action.metavar or action.dest}`'
    known = vars(action) | {'prog': parser.prog}
    said = parser._get_formatter()._get_help_string(action) or ''
    said %= known
    needed = bool(action.option_strings) and action.required
    said = with_code(cell(said))
    return f'| {cell(typed)} | {said}{" (required)" * needed} |'


def description(parser: argparse.ArgumentParser) -> str:
    """The description in Markdown: indented lines and commands are code."""
    blocks = []
    for block in (parser.description or '').strip().split('\n\n'):
        lines = block.splitlines()
        # A sentence may begin with the name of a command too.
        command = lines[0].startswith(('python ', 'sce ')) and not block[
            -1
        ].endswith(('.', ':'))
        if lines[0].startswith('    ') or command:
            code = textwrap.dedent(block)
            language = 'python' if re.match(r'\w+ ?=', code) else 'bash'
            blocks.append(f'```{language}\n{code}\n```')
        else:
            blocks.append(with_code('\n'.join(lines)))
    return '\n\n'.join(blocks)


def rows(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Rows of the arguments of a command by their first name."""
    return {
        (action.option_strings or [action.dest])[0]: row(action, parser)
        for action in parser._actions
        if action.help not in (None, argparse.SUPPRESS)
        and action.dest != 'help'
    }


def table(lines: Iterable[str]) -> str:
    """A table of rows of arguments."""
    return '\n'.join(['| argument | meaning |', '|---|---|', *lines])


def section(
    name: str, parser: argparse.ArgumentParser, common: dict[str, str]
) -> str:
    """Heading, description and one table of the arguments of a command.

    Args:
        name: Name as it is typed after ``sce``.
        parser: Parser of the command.
        common: Rows that stand elsewhere, by the name of the option.
    """
    mine = rows(parser)
    own = [line for line in mine.values() if line not in common.values()]
    also = [
        f'`{key}`'
        for key, line in common.items()
        if mine.get(key) == line and key != EVERYWHERE
    ]
    parts = [f'## sce {name}', description(parser), *[table(own)] * bool(own)]
    if also:
        where = '[of many commands](#options-of-many-commands)'
        parts.append(f'Options {where}: {", ".join(also)}.')
    return '\n\n'.join(parts) + '\n'


def page() -> str:
    """The text of the page."""
    files = entry.command_files()
    parsers = {
        name: parser_of(name, files[name].stem)
        for group in entry.groups().values()
        for name in group
    }
    count = Counter(
        option
        for parser in parsers.values()
        for option in rows(parser).items()
        if option[0].startswith('-')
    )
    common = dict(option for option, number in count.items() if number >= MANY)
    sections = [section(*item, common) for item in parsers.items()]
    return '\n'.join([HEAD, table(common.values()) + '\n', *sections])


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    ).parse_args()
    PAGE.write_text(page(), encoding='utf-8')
    print(f'{PAGE} is written')


if __name__ == '__main__':
    main()
