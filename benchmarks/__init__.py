"""ksurf measured against its peers, on the same machine and in the same run: ``make bench``."""
