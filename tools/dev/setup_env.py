"""Make the environment that `make` works in. Standard library only.

    python3 tools/dev/setup_env.py [default|upstream]

Creates `.venv` (or `.venv-upstream`) with pinned packages and this checkout
installed editable, or brings it up to date. This file alone keeps to syntax
that old Pythons can read: it looks for one that fits and goes on in there.
"""

import os
import subprocess
import sys

PYTHONS = {'default': ((3, 10), (3, 12)), 'upstream': ((3, 10), (3, 11))}


def find_python(lowest, highest):
    """An interpreter in the range: this one, or one on PATH."""
    if lowest <= sys.version_info[:2] <= highest:
        return sys.executable
    for minor in range(highest[1], lowest[1] - 1, -1):
        # A version manager may put names on PATH that do not run.
        probe = f'import sys; sys.exit(sys.version_info[:2] != (3, {minor}))'
        try:
            failed = subprocess.call(
                [f'python3.{minor}', '-c', probe],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            continue
        if not failed:
            return f'python3.{minor}'
    this = '.'.join(map(str, sys.version_info[:3]))
    sys.exit(
        f'[setup] Python 3.{lowest[1]} to 3.{highest[1]} is needed and none '
        f'is on PATH; this is {this}. Install one (Debian, Ubuntu: apt-get '
        'install python3.11 python3.11-venv python3.11-dev), or name one: '
        'make PYTHON=/path/to/python3.11 setup'
    )


def main(column='default'):
    """Bring the environment of a column up to date."""
    if column not in PYTHONS:
        sys.exit(f'[setup] no column {column!r}: use default or upstream')
    python = find_python(*PYTHONS[column])
    if python != sys.executable:
        os.execvp(python, [python, __file__, column])
    from environment import bring_up_to_date
    from steps import SetupError

    try:
        bring_up_to_date(column)
    except SetupError as error:
        sys.exit(f'[setup] {error}')
    except KeyboardInterrupt:
        sys.exit('[setup] interrupted; run the same make verb again to go on')


if __name__ == '__main__':
    main(*sys.argv[1:])
