"""Pages and pictures; needs matplotlib, which nothing else here does."""
