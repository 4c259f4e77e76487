"""From a command line to a Runner."""
