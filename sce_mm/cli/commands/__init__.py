"""One file for each command of the project, named like it."""
