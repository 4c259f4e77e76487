"""What do all rooms use? Processes, random state, commands, folder locks.

Nothing here imports another room of the package.
"""
