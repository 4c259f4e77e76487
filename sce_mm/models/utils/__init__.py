"""Which parts of the model have a state? Queue, momentum encoder, norms."""
