"""Every error this package raises on purpose.

    TinyTorchError                 exit  http
      UsageError                    2    400   a request that can't be understood
        UnknownName                 2    404   no such module, exercise, example or attempt
      NotAllowed                    4    409   locked, coming, or not yet earned
      NotGradable                   3    422   the notebook could not be judged
        NotebookUnreadable          3    422   it is not a notebook, or too large
      WorkspaceError                2    409   no workspace here, or its files are in the way
      StoreError                    5    500   progress.db is damaged, newer, or read-only
      GraderError                   5    500   our own machinery failed
        Busy                        5    429   too many gradings wait already

Each message says what happened, where, and what to do next.
"""


class TinyTorchError(Exception):
    """Root of the tree. `exit_code` is for `tito`, `http_status` for the server."""

    exit_code = 5
    http_status = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UsageError(TinyTorchError):
    exit_code = 2
    http_status = 400


class UnknownName(UsageError):
    http_status = 404


class NotAllowed(TinyTorchError):
    exit_code = 4
    http_status = 409


class NotGradable(TinyTorchError):
    exit_code = 3
    http_status = 422


class NotebookUnreadable(NotGradable):
    pass


class WorkspaceError(TinyTorchError):
    exit_code = 2
    http_status = 409


class StoreError(TinyTorchError):
    pass


class GraderError(TinyTorchError):
    pass


class Busy(GraderError):
    http_status = 429
