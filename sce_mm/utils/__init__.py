"""Small things that every room uses; imports nothing of the package."""
