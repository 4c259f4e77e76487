"""What is raised when a file is not what it should be."""

from ..errors import UserError


class CheckpointError(UserError):
    """A file is not the checkpoint that was asked for."""
