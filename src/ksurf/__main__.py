"""``python -m ksurf``: the command, where its script is not on the path."""

from ksurf.cli import main

main()
