"""Which network do these tensors belong to, and are all of them there?

``families`` recognises a network by the names of its tensors. Each family has
a file: how the numbers of a network follow from its tensors, and how its
tensors are named in other libraries.
"""
