"""Every error that Roomtape raises.

    RoomtapeError
    ├── ConfigurationError          a value is not in the contract's table
    │   └── SuffixError             the file name ends in neither .wav nor .aac
    ├── StateError                  the call does not fit the state (stop before start, ...)
    ├── FileError                   a file cannot be created, written, read or understood
    │   ├── OpenFileError           the recording cannot be created
    │   └── DamagedFileError        a file is not what its name says
    ├── RoomError                   the room cannot be joined, or was lost
    │   ├── OfferError              an offer to publish cannot be answered
    │   ├── RoomUnreachableError    no server answers there
    │   └── RoomRefusedError        the server said no (token, name taken, ...)
    ├── MissingExtraError           a package is not installed that only some need
    └── FleetError                  what the workers of a fleet share does not answer (Redis, ...)

Messages are one line: what was observed, what was expected, what to do.
"""


class RoomtapeError(Exception):
    """The root of the tree."""


class ConfigurationError(RoomtapeError, ValueError):
    """A value is not in the contract's table."""


class SuffixError(ConfigurationError):
    """The file name ends in neither .wav nor .aac."""


class StateError(RoomtapeError, RuntimeError):
    """The call does not fit the state of the object."""


class FileError(RoomtapeError):
    """A file cannot be created, written, read or understood."""


class OpenFileError(FileError):
    """The recording cannot be created."""


class DamagedFileError(FileError):
    """A file is not what its name says."""


class RoomError(RoomtapeError):
    """The room cannot be joined, or was lost."""


class OfferError(RoomError):
    """An offer to publish cannot be answered."""


class RoomUnreachableError(RoomError):
    """No server answers there."""


class RoomRefusedError(RoomError):
    """The server said no."""


class FleetError(RoomtapeError):
    """What the workers of a fleet share (Redis, the service's API) does not answer, or refuses."""


class MissingExtraError(RoomtapeError, ModuleNotFoundError):
    """A package is not installed that only some need.

    Args:
        what: Who needs it.
        error: Which it is.
        extra: What brings it.
    """

    def __init__(self, what: str, error: ModuleNotFoundError, extra: str) -> None:
        super().__init__(
            f"{what} needs packages that are not installed ({error.name}): "
            f"pip install 'roomtape[{extra}]'"
        )
        self.name = error.name
