"""Other libraries' clusters and pools, where tasks or workers of ours run."""
