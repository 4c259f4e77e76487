"""How are files of weights read, written and found safely?"""
