"""The error that lists all problems of a config."""

from collections.abc import Collection

from ..utils.errors import UserError


class ConfigError(UserError):
    """Everything that is wrong with a config."""


def raise_all(problems: Collection[str], where: str) -> None:
    """Raise one error that lists all problems, if there are any.

    Each is a line that begins with its key; ``where`` completes "2 problems
    ...".

    Raises:
        ConfigError: There are some.
    """
    if len(problems) == 1:
        (problem,) = problems
        # What was typed stands in no config.
        typed = problem.startswith('--')
        raise ConfigError(f'1 problem {where}: ' * (not typed) + problem)
    if problems:
        lines = ''.join(f'\n  - {problem}' for problem in problems)
        raise ConfigError(f'{len(problems)} problems {where}:{lines}')
