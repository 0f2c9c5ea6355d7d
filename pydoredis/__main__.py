"""`python -m pydoredis`: the command line."""

from pydoredis.cli import main

main()
