"""Timings of this library against the same training written as textbooks write it."""
