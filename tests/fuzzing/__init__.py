"""Randomly damaged files and wrong recipes. A command must either handle them or say in one line what is wrong.

`tests/test_fuzz.py` tries a few in every run of the suite, `scripts/fuzz.py` tries any number.
"""
