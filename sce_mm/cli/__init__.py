"""How does a command line become a config, a Runner and an exit code?"""
