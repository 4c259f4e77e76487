"""How are the weights updated?"""
