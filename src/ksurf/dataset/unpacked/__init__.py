"""A kernel's tables unpacked: for who answers many small questions, each in a few milliseconds.

Parquet is small, and a row group has to be decoded for each question. Unpacked, the same rows lie in one file
as Arrow has them in memory, which is mapped: to look up a value is a binary search, and to read a row is to
index. That takes some eight times the room, so it is a cache, made where somebody wants it and made again at
will; it is never stale, since a file is named after what it was made of.

``file.py`` is the file, ``table.py`` and ``column.py`` what lies in it, ``layout.py`` says what that is,
``write.py`` makes a file, and ``cache.py`` has those of a dataset. Look-ups (:mod:`ksurf.dataset.lookup`) use
them inside :func:`~ksurf.dataset.unpacked.cache.reading_unpacked`.
"""
