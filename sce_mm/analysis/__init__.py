"""What will a run cost? Memory, hours, and where the time of a step goes."""
