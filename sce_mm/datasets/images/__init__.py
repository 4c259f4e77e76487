"""How does an image file become an array, and which files are taken?

``file_lists`` finds the files, ``shards`` those in tar files, which
``shard_writing`` writes. ``loading`` has the transforms ``LoadImage`` and
``LoadCachedImage``, ``decoding`` turns bytes into uint8 BGR.
``image_cache`` writes shrunk images to one file and reads them;
``near_duplicates`` finds copies, ``inspection`` says what files are.
"""
