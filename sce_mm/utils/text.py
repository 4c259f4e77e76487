"""Show paths, counts and lists of names in messages, in one line."""

from collections.abc import Sequence

_LISTED = 10


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


def counted(number: int, noun: str, plural: str = '') -> str:
    """A number and its noun.

    >>> counted(1, 'process', 'processes'), counted(3, 'image')
    ('1 process', '3 images')
    """
    return f'{number:,} {noun if number == 1 else plural or noun + "s"}'


def listed(names: Sequence[str]) -> str:
    """The first ten names, and how many more there are."""
    more = f' and {len(names) - _LISTED} more' if names[_LISTED:] else ''
    return ', '.join(map(printable, names[:_LISTED])) + more
