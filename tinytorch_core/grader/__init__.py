"""Grading: grade() in grade.py tells the story. It runs in the process of worker.py; client.py is how the doors talk to it."""
