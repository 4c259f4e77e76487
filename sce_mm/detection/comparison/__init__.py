"""Starts of detectors compared on the same labels, as `tools/compare.py`."""
