"""A backbone in another library's format, proved there."""
