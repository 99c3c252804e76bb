"""`python -m tinytorch_core.cli` is `tito`."""

from tinytorch_core.cli import main

main()
