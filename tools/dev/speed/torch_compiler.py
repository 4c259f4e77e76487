"""Say why the compiler of torch cannot make code for a GPU here."""

import os
import shutil
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import torch


def what_lacks() -> str:
    """What the compiler lacks; empty if it can work.

    Triton compiles a module of Python before its first kernel.
    """
    try:
        torch.compile(lambda: None)
    except RuntimeError as error:
        # A Python that is newer than it.
        return str(error)
    if find_spec('triton') is None:
        return 'triton is not installed'
    if not (os.environ.get('CC') or any(map(shutil.which, ('gcc', 'clang')))):
        return 'there is no C compiler'
    header = Path(sysconfig.get_path('include'), 'Python.h')
    return '' if header.exists() else f'{header} is missing'
