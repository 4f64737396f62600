"""Run many independent Python computations on any number of processors."""
