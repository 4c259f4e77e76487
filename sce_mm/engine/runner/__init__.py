"""How does a run go through the data, and how does it resume?"""
