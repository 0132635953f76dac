"""`python -m sensia` is the command `sensia`."""

from sensia.cli import main

main()
