"""Names, counts and paths as messages, tables and folders have them."""

from collections.abc import Sequence
from pathlib import Path

from .errors import UserError

# What a network without weights is called in tables.
RANDOM = 'random initialisation'
_LISTED = 10


def read_lines(path: Path) -> list[str]:
    """Lines of a text file that are not empty, without blanks around them.

    Raises:
        UserError: It is no text.
    """
    try:
        lines = path.read_text('utf-8-sig').splitlines()
    except UnicodeDecodeError as error:
        raise UserError(
            f'{path} is no text in UTF-8: expected one name a line'
        ) from error
    return [line.strip() for line in lines if line.strip()]


def printable(path: str) -> str:
    """A path in one line of plain text, whatever its bytes are.

    A name can hold line breaks that look like an entry of the log, and codes
    that terminals obey.
    """
    return ''.join(
        sign
        if sign.isprintable()
        else sign.encode('unicode_escape', 'backslashreplace').decode()
        for sign in path
    )


def in_path(name: str, keep: str = '') -> str:
    """A name as part of a path: letters, digits and what is to be kept.

    >>> in_path('SCE, 0.5'), in_path('SCE, 0.5', keep='.')
    ('SCE--0-5', 'SCE--0.5')
    """
    return ''.join(c if c.isalnum() or c in keep else '-' for c in name)


def counted(number: float, noun: str, plural: str = '') -> str:
    """A number and its noun.

    >>> counted(1, 'process', 'processes'), counted(3, 'image')
    ('1 process', '3 images')
    """
    return f'{number:,} {noun if number == 1 else plural or noun + "s"}'


def listed(names: Sequence[str]) -> str:
    """The first ten names, and how many more there are."""
    more = f' and {len(names) - _LISTED} more' if names[_LISTED:] else ''
    return ', '.join(map(printable, names[:_LISTED])) + more
