"""`python -m sparring`: the command line."""

import os
import sys

if sys.path[:1] == [os.getcwd()]:
    del sys.path[0]  # like the `sparring` script, do not import modules from the current folder by accident

from sparring.cli import main

if __name__ == "__main__":
    main()
