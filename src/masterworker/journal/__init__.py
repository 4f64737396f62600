"""The journal of a job: what was done is on the disk, and is not done again."""
