"""What depends on the kernel, and what becomes of it on each one.

``consumer.py`` finds what can be checked; one file per kind of consumer reads what it needs
(:mod:`~ksurf.check.dependency`); ``verdict.py`` judges it on a kernel, ``suggest.py`` says what to do.
Nothing that is checked is ever run.
"""
