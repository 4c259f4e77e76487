"""What does a step minimise? The SCE loss and its mathematics."""
