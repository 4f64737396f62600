"""The template of a supervisor: one interpreter that is ready, of which its workers are forks."""
