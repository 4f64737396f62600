"""Values on their way between processes: pickles, failures, named states."""
