"""The door for JupyterLab: a Jupyter server extension with a REST API and events."""
