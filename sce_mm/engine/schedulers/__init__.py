"""How do learning rate, momentum and loss weights change over a run?"""
