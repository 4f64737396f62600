"""The page: a process of its own that looks at a job, and shows it to browsers of its user."""
