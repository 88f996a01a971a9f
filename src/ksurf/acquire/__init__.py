"""Where kernels come from: Debian's archive, local files, and the machine itself."""
