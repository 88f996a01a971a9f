"""ksurf maps the dependency surface of the Linux kernels that distributions really ship."""
