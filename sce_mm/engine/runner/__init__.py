"""Loops, the state of a run, and resuming it."""
