"""Read and write the values of ``KEY=VALUE`` words (``--cfg-options``)."""

import ast
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from .errors import UserError

_CLOSING = {'(': ')', '[': ']'}
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
# Part of a list that needs no brackets. A comma in a path, or in a text with
# blanks, is part of that.
_PLAIN = re.compile(r"""[^\s/\\()\[\]{}'"]*""")
_CONSTANTS: Mapping[str, Any] = {'true': True, 'false': False, 'None': None}


def not_overrides(words: Sequence[str]) -> list[str]:
    """The words that are not ``KEY=VALUE``.

    >>> not_overrides(['a.b=1', 'c=', '=2', 'd'])
    ['=2', 'd']
    """
    return [word for word in words if word.find('=') < 1]


def parse_value(text: str) -> Any:
    """The value that a text stands for, as mmengine's users know it.

    Numbers, True, False, None, and lists of them. Words need no quotes, and
    quotes make a text of anything. What is no such thing is taken as it is.

    >>> parse_value('1e-3'), parse_value('None'), parse_value('true')
    (0.001, None, True)
    >>> parse_value('1,2,3'), parse_value('[(1, 2), [a, b], c]')
    ([1, 2, 3], [(1, 2), ['a', 'b'], 'c'])
    >>> parse_value('/my images/a,b'), parse_value("'1,2'")
    ('/my images/a,b', '1,2')

    Raises:
        UserError: It begins with a bracket that nothing closes.
    """
    word = text.strip()
    if _QUOTED.fullmatch(word):
        with suppress(SyntaxError, ValueError):
            return ast.literal_eval(word)
    parts = _split(word)
    if parts is None:
        if word[0] in _CLOSING:
            raise UserError(
                f'Imbalanced brackets exist in {text}; in quotes it is a text'
            )
        return text
    if _CLOSING.get(word[:1]) == word[-1:]:
        inner = _split(word[1:-1])
        if inner is not None:
            values = _values(inner)
            return tuple(values) if word[0] == '(' else values
    if len(parts) > 1 and all(map(_is_part, parts)):
        return _values(parts)
    return _single(word, text)


def as_word(key: str, value: object) -> str:
    """``KEY=VALUE``, of which :func:`parse_value` reads this value again.

    Args:
        key: Key of a config.
        value: Path, text, number, True, False, None, or lists of them.
    """
    text = str(value) if isinstance(value, Path) else value
    plain = isinstance(text, str) and _reads_as_itself(text)
    return f'{key}={text if plain else _literal(text)}'


def _reads_as_itself(text: str) -> bool:
    with suppress(UserError):
        return bool(parse_value(text) == text)
    return False


def _literal(value: object) -> str:
    """Text of a value without blanks between the parts of lists."""
    if isinstance(value, list | tuple):
        inner = ','.join(map(_literal, value))
        return f'[{inner}]' if isinstance(value, list) else f'({inner})'
    return repr(str(value) if isinstance(value, Path) else value)


def _is_part(text: str) -> bool:
    """Whether this may be part of a list that has no brackets."""
    word = text.strip()
    if _PLAIN.fullmatch(word) or _QUOTED.fullmatch(word):
        return True
    return not isinstance(parse_value(word), str)


def _values(parts: Sequence[str]) -> list[Any]:
    """Values of the parts of a list, which may end with a comma."""
    last = len(parts) - (not parts[-1].strip())
    return [parse_value(part.strip()) for part in parts[:last]]


def _split(text: str) -> list[str] | None:
    """What stands between commas, outside of brackets and quotes.

    None if the brackets are not balanced.
    """
    parts, awaited = list[str](), list[str]()
    start = place = 0
    # A quote within a word is an apostrophe.
    begins = True
    while place < len(text):
        sign = text[place]
        if begins and (quoted := _QUOTED.match(text, place)):
            place, begins = quoted.end(), False
            continue
        if sign in _CLOSING:
            awaited.append(_CLOSING[sign])
        elif sign in _CLOSING.values() and (
            not awaited or awaited.pop() != sign
        ):
            return None
        elif sign == ',' and not awaited:
            parts.append(text[start:place])
            start = place + 1
        begins = sign in '([,' or (begins and sign.isspace())
        place += 1
    if awaited:
        return None
    return [*parts, text[start:]]


def _single(word: str, text: str) -> Any:
    """A number or a constant, or else the text."""
    for number in (int, float):
        with suppress(ValueError):
            return number(word)
    name = word if word in _CONSTANTS else word.lower()
    return _CONSTANTS.get(name, text)
