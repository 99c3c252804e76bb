"""The grader room: one notebook, judged."""
