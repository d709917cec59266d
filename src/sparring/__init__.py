"""Sparring trains GANs against better opponents."""

__version__ = "0.1.0"
