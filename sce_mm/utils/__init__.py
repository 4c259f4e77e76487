"""Ground of all rooms: processes, random numbers, commands, folder locks.

Nothing here imports another room of the package.
"""
