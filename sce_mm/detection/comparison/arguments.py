"""Look at the arguments of a comparison before anything starts."""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence

from .results import in_path


def wrong_arguments(
    args: argparse.Namespace, sources: Sequence[str]
) -> Iterator[str]:
    """One line for each argument that cannot work.

    Args:
        args: Of tools/compare.py.
        sources: Names of all starts.
    """
    names = Counter(map(in_path, sources))
    if len(names) < len(sources):
        yield (
            '--weights: names must differ from each other in a letter or '
            f'digit; the starts are {", ".join(sources)}'
        )
    files = [*args.weights.values(), args.pretraining, args.init_from]
    for path in files:
        if path is not None and not path.is_file():
            yield f'there is no file {path}'
    for option, is_right, expected in (
        ('percent', lambda p: 0 < p <= 100, 'above 0 and up to 100'),
        ('seeds', lambda s: 0 <= s < 2**32, 'from 0 to 2^32 - 1'),
    ):
        values = getattr(args, option)
        if len(set(values)) < len(values) or not all(map(is_right, values)):
            shown = ' '.join(map(str, values))
            yield f'--{option}: expected each once, {expected}; got {shown}'
    if args.threads < 1:
        yield f'--threads must be at least 1, got {args.threads}'
    for option in ('pretraining_options', 'detector_options'):
        wrong = [w for w in getattr(args, option) if '=' not in w]
        if wrong:
            yield (
                f'--{option.replace("_", "-")} takes key=value, without '
                f'spaces around the sign; got {" ".join(wrong)}'
            )
