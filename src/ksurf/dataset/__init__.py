"""The dataset: kernels as Parquet tables on disk, how they get there, and how they are asked."""
