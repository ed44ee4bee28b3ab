"""Every error that Roomtape raises.

    RoomtapeError
    ├── ConfigurationError          a value is not in the contract's table
    │   └── SuffixError             the file name ends in neither .wav nor .aac
    ├── StateError                  the call does not fit the state (stop before start, ...)
    ├── FileError                   a file cannot be created, written, read or understood
    │   ├── OpenFileError           the recording cannot be created
    │   └── DamagedFileError        a file is not what its name says
    ├── RoomError                   the room cannot be joined, or was lost
    │   ├── RoomUnreachableError    no server answers there
    │   └── RoomRefusedError        the server said no (token, name taken, ...)
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


class RoomUnreachableError(RoomError):
    """No server answers there."""


class RoomRefusedError(RoomError):
    """The server said no."""


class FleetError(RoomtapeError):
    """What the workers of a fleet share (Redis, the service's API) does not answer, or refuses."""
