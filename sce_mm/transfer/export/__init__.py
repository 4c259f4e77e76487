"""Export a backbone to another library, and prove it there.

``targets`` lists the libraries, ``export`` writes a file and compares it.
"""
