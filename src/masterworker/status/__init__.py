"""Read-only views of a job."""
