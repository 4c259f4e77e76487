"""Did the pretrained weights arrive, and will they be trained rightly?

Why a transfer was refused is said in ``problems``.
"""
