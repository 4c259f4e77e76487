"""Hash the content of a file or of anything else that is bytes."""

import hashlib


def hash_of(content: bytes) -> str:
    """SHA-256 in hexadecimal, by which equal content is known."""
    return hashlib.sha256(content).hexdigest()
