"""What can go wrong, each kind with one sentence for a person: what is wrong, where, how to mend it."""


class GANForgeError(Exception):
    """Every error that a user can mend.  The command prints its sentence and exits with 1."""


class OptionError(GANForgeError):
    """An option, alone or beside another, that cannot be carried out."""


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


class ProcessError(GANForgeError):
    """Another of the processes that train together has ended."""


class WeightsError(GANForgeError):
    """Weights whose keys or shapes do not fit the network."""
