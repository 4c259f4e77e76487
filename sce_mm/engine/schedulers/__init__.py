"""Values that follow the optimiser step."""
