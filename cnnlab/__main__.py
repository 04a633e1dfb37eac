"""`python -m cnnlab COMMAND …` is `cnnlab COMMAND …`."""

import sys

from cnnlab.cli import main

if __name__ == "__main__":  # not in a process that multiprocessing has spawned, which imports this module again
    sys.argv[0] = "cnnlab"  # what usage lines and the shell's completion call the program
    sys.exit(main())
