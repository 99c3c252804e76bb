"""The REST API, on a real Jupyter server with the tiny course."""
