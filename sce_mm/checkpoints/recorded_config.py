"""Read the config that a checkpoint records, without running it."""

import ast
from collections.abc import Mapping
from contextlib import suppress
from typing import Any


def recorded_config(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """The config of the run that wrote a checkpoint; empty if it has none.

    mmengine records the text of a file that builds it. Only dicts, lists and
    plain values are taken from that, so a checkpoint of strangers runs
    nothing.
    """
    text = (checkpoint.get('meta') or {}).get('cfg')
    return parse_config(text) if isinstance(text, str) else {}


def parse_config(text: str) -> dict[str, Any]:
    r"""Content of a config's ``pretty_text``; empty if it is none.

    >>> parse_config("a = dict(b=[1, -2.5], c=None)\nd = {'e f': inf}")
    {'a': {'b': [1, -2.5], 'c': None}, 'd': {'e f': inf}}
    >>> parse_config('import os')
    {}
    """
    found: dict[str, Any] = {}
    with suppress(SyntaxError, ValueError, RecursionError):
        for statement in ast.parse(text).body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    found[name] = _value(value)
                case _:
                    return {}
        return found
    return {}


def _value(node: ast.AST) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.List(elts=parts):
            return [_value(part) for part in parts]
        case ast.Tuple(elts=parts):
            return tuple(_value(part) for part in parts)
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return {
                _value(key): _value(value)
                for key, value in zip(keys, values, strict=True)
                if key is not None
            }
        case ast.Call(func=ast.Name(id='dict'), args=[], keywords=words):
            return {word.arg: _value(word.value) for word in words}
        case ast.UnaryOp(op=ast.USub(), operand=number):
            return -_value(number)
        case ast.Name(id='inf' | 'nan' as name):
            return float(name)
    raise ValueError(f'{ast.dump(node)} is no plain value')
