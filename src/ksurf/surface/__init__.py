"""Judgements: what the rows of a kernel mean for somebody who leans on a symbol. Pure functions, no I/O."""
