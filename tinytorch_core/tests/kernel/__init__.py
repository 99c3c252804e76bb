"""The kernel room: what runs beside a student's code."""
