"""The error that lists all problems of a config."""

from collections.abc import Collection

from ..utils.errors import UserError


class ConfigError(UserError):
    """Everything that is wrong with a config."""


def raise_all(problems: Collection[str], where: str) -> None:
    """Raise one error that lists all problems, if there are any.

    Each is a line that begins with its key; ``where`` completes "2 problems
    ...".
    """
    if problems:
        count = f'{len(problems)} problem{"s" if len(problems) > 1 else ""}'
        lines = ''.join(f'\n  - {problem}' for problem in problems)
        raise ConfigError(f'{count} {where}:{lines}')
