"""What do features and results look like? Pages, sheets and maps."""
