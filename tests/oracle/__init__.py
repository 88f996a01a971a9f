"""A second reading of a kernel, slow and by other means, to hold ksurf's against."""
