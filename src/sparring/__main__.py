"""`python -m sparring`: the command line."""

import os
import sys

if sys.path[:1] == [os.getcwd()]:
    del sys.path[0]  # as for `sparring` itself: what lies in the current folder is imported when somebody names it

from sparring.cli import main

if __name__ == "__main__":
    main()
