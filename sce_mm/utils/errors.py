"""What is raised when the user has to do something."""


class UserError(ValueError):
    """Says what was expected, what came and what to do.

    Commands show the message alone, see
    :func:`~sce_mm.cli.exit.run_main`.
    """
