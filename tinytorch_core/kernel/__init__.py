"""What runs inside a student's kernel or a grading kernel. Imports nothing of the rooms above; only widgets, and that lazily."""
