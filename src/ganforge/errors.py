"""Exceptions.  The message of each says what is wrong, where, and how to fix it."""


class GANForgeError(Exception):
    """Base class of all errors that a user can fix.  The command prints the message and exits with 1."""


class OptionError(GANForgeError):
    """An invalid option, or an invalid combination of options."""


class ModelError(GANForgeError):
    """A model that does not exist, cannot be imported, or cannot be built from these settings."""


class ContractError(ModelError):
    """A model's file breaks the contract between a paper and the engine (see game.py)."""


class DataError(GANForgeError):
    """Data that cannot be found, read, or used by this model."""


class RunError(GANForgeError):
    """A run folder that is missing, cannot be written, or holds something else."""


class CheckpointError(RunError):
    """A checkpoint that is damaged, belongs to another model, or could not be written."""


class NotFiniteError(GANForgeError):
    """A loss became NaN or infinite."""


class OutOfMemoryError(GANForgeError):
    """The memory of the machine or of its GPU is not enough."""


class ProcessError(GANForgeError):
    """Another process of a distributed run has ended."""


class WeightsError(GANForgeError):
    """Weights whose keys or shapes do not fit the network."""
