"""Objects as training code pickles them beside the weights, and one that does harm where it is unpickled."""

import os


class Settings:
    def __init__(self, **fields):
        self.fields = fields


class AttributeDict(dict):
    """As Lightning's, in which it keeps hyperparameters."""


class Bomb:
    """Calls a function where it is unpickled."""

    def __init__(self, function, path):
        self.function, self.path = function, str(path)

    def __reduce__(self):
        return self.function, (self.path,)


def explode(path):
    os.mkdir(path)
