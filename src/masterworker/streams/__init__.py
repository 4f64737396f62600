"""Seeds of random numbers: which task of a job has which stream."""
