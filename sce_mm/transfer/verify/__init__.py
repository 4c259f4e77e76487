"""Whether the weights of a file arrived in a model."""
