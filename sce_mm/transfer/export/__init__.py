"""Export a backbone to another library, and prove it there.

``targets`` lists the libraries, ``libraries`` writes and runs their files.
"""
