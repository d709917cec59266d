"""The command line: one file per verb."""

from sparring.cli.main import app, main

__all__ = ["app", "main"]
