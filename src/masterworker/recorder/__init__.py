"""What has become of a job over its whole time, in bounded memory, and how long it will take."""
