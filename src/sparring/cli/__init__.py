"""The command line: one file per command."""

from sparring.cli.main import app, main

__all__ = ["app", "main"]
