"""Print what is installed, whether it works, and how to fix what does not."""

from collections.abc import Sequence

from ...doctor import __main__ as doctor
from ..arguments import ArgumentParser


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    ArgumentParser(__doc__).parse_args(argv)
    raise SystemExit(doctor.main())
