"""Every error that Pitstop raises on purpose.

    PitstopError
    ├── SettingError      (ValueError)    a setting or argument has a value we cannot take
    ├── StoreError        (RuntimeError)  the store could not do it
    │   ├── StoreUnavailableError              for now: locked, disk full, read-only; try again later
    │   ├── StoreNewerError                    the file was written by a newer Pitstop; it is left untouched
    │   └── StoreCorruptError                  the file is no database, or a damaged one
    ├── EgressError       (ConnectionError) a call to somebody outside came to nothing
    │   └── EgressRefusedError                 it may not be made at all; trying again is of no use
    ├── CacheKeyError     (TypeError)     arguments that no key can be made of
    ├── CacheValueError   (TypeError)     a value that cannot leave the process
    ├── NotFoundError     (LookupError)   what was asked for is not recorded
    └── TaskError         (RuntimeError)  tasks cannot be run here, or one has no result

A message names the value, the limit and the next step.
"""

from __future__ import annotations


class PitstopError(Exception):
    """What all our errors are."""


class SettingError(PitstopError, ValueError):
    """A setting, flag or argument has a value that cannot be used."""


class StoreError(PitstopError, RuntimeError):
    """The store could not do what was asked."""


class StoreUnavailableError(StoreError):
    """The store cannot be written for now; nothing was acknowledged and a retry is safe."""


class StoreNewerError(StoreError):
    """The file's schema is newer than this Pitstop; the file was left untouched."""


class StoreCorruptError(StoreError):
    """The file is damaged or is no Pitstop database."""


class EgressError(PitstopError, ConnectionError):
    """A call to somebody outside came to nothing: no address, no connection, no answer in time."""


class EgressRefusedError(EgressError):
    """A call that may not be made: to a private address, over another scheme, with a header that is two."""


class CacheKeyError(PitstopError, TypeError):
    """Arguments of a cached call that no key can be made of that is the same in every process."""


class CacheValueError(PitstopError, TypeError):
    """A value that has no bytes a cache would take: of an unknown type, too large, too deep."""


class NotFoundError(PitstopError, LookupError):
    """What was asked for by name is not recorded."""


class TaskError(PitstopError, RuntimeError):
    """Tasks cannot be run from here, or the result of one is asked for that has none."""
