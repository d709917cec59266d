"""Damaged files and wrong recipes by chance, and what the command must make of them: it works, or says why in one line.

`tests/test_fuzz.py` takes some of each in every run of the suite, `scripts/fuzz.py` as many as one likes.
"""
