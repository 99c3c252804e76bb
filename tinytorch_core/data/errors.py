"""What can go wrong with data, below TinyTorchError in the tree.

DataError           exit 5   a file that ships with the package is missing, or is not what it was
  NotFetched             1   a data set is not on this machine, or no longer what it was
  FetchError             1   it could not be fetched
    Refused              1   this address doesn't serve the file; another one may
    BrokeOff             1   the connection did not hold; what has come is kept
"""

from tinytorch_core.errors import TinyTorchError


class DataError(TinyTorchError):
    pass


class NotFetched(DataError):
    exit_code = 1
    http_status = 409


class FetchError(DataError):
    exit_code = 1
    http_status = 502


class Refused(FetchError):
    pass


class BrokeOff(FetchError):
    pass
