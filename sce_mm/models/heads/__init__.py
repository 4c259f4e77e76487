"""Which pairs of views does the loss compare?"""
