"""What is raised when a file is not what it should be."""


class CheckpointError(ValueError):
    """A file is not the checkpoint that was asked for."""
