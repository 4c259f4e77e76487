"""The most memory that this process has held, as Linux counts it."""

from pathlib import Path

_STATUS = Path('/proc/self/status')


def reset_peak() -> int:
    """Set the high-water mark back to what is resident now.

    Returns:
        Bytes that are resident now.

    Raises:
        OSError: Not on Linux, or in a container that forbids it.
    """
    Path('/proc/self/clear_refs').write_text('5')
    return peak_bytes()


def peak_bytes() -> int:
    """High-water mark of the resident memory, in bytes.

    Raises:
        OSError: Not on Linux.
    """
    for line in _STATUS.read_text().splitlines():
        if line.startswith('VmHWM:'):
            return int(line.split()[1]) * 1024
    raise OSError(f'no VmHWM in {_STATUS}')
