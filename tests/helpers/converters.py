"""The converters of data sets, run in this process."""

import contextlib
import io
import runpy
import sys
from pathlib import Path

import pytest

from sce_mm.cli.exit import message_of

TOOLS = Path(__file__).parents[2] / 'tools' / 'dataset_converters'


def run(tool: str, *arguments: object) -> str:
    """What the command prints; its complaint if it fails."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        path = TOOLS / f'{tool}.py'
        patch.setattr(sys, 'argv', [str(path), *map(str, arguments)])
        try:
            with contextlib.redirect_stdout(printed):
                runpy.run_path(str(path))['main']()
        except SystemExit as stop:
            if stop.code:
                raise RuntimeError(stop.code) from stop
        except Exception as error:
            raise RuntimeError(message_of(error) or repr(error)) from error
    return printed.getvalue()
