"""How is a backbone exported to another library and compared there?

``targets`` lists the libraries, ``libraries`` writes and runs their files.
"""
