"""How is a backbone exported to another library and compared there?

``targets`` lists the libraries, ``export`` writes a file and compares it.
"""
