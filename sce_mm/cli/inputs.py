"""Types of arguments that name what has to be there.

A wrong path is answered before anything is imported that takes seconds.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from ..utils.errors import UserError
from ..utils.recipes import find_config, find_source, recipes


def config_name(text: str) -> str:
    """Read the path of a config, or the name of a recipe.

    Raises:
        ArgumentTypeError: It is neither.
    """
    return _found_by(find_config, text)


def source_name(text: str) -> str:
    """Read what a config is made from, also the name of one of mmdet.

    Raises:
        ArgumentTypeError: There is none.
    """
    return _found_by(find_source, text)


def _found_by(find: Callable[[str], object], text: str) -> str:
    try:
        find(text)
    except (FileNotFoundError, UserError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def checkpoint_file(text: str) -> str:
    """Read the path of a checkpoint.

    Raises:
        ArgumentTypeError: There is no such file.
    """
    if os.path.isdir(text):
        raise argparse.ArgumentTypeError(
            f'{text} is a folder: name a checkpoint in it'
        )
    if not os.path.isfile(text):
        raise argparse.ArgumentTypeError(f'no checkpoint at {text}')
    return text


def image_folder(text: str) -> str:
    """Read a folder of images, a tar file or a list; whether it is there.

    What has a name of another kind is left to those who read images: they
    know more to say. So is a config, before which something is missing.

    Raises:
        ArgumentTypeError: There is nothing of this name.
    """
    known = any(sign in text for sign in ('://', *'*?[{')) or (
        Path(text).suffix in ('.tar', '.py') or text in recipes()
    )
    if not known and not os.path.exists(text):
        raise argparse.ArgumentTypeError(
            f'no folder {text!r} (looked in {os.getcwd()})'
        )
    return text


def existing_folder(text: str) -> str:
    """Read the path of a folder.

    Raises:
        ArgumentTypeError: There is no such folder.
    """
    if not os.path.isdir(text):
        raise argparse.ArgumentTypeError(
            f'{text} is a file, expected a folder'
            if os.path.exists(text)
            else f'there is no folder {text}'
        )
    return text


def label_file(text: str) -> Path:
    """Read the path of a file of labels.

    Raises:
        ArgumentTypeError: There is no such file.
    """
    if not os.path.isfile(text):
        what = 'a folder' if os.path.isdir(text) else 'no file'
        raise argparse.ArgumentTypeError(
            f'{text} is {what}, expected labels in COCO format'
        )
    return Path(text)
