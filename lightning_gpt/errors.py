"""The one exception for what a user can mend. Not for broken invariants: those are asserts."""


class UserError(ValueError):
    """A mistake in what was asked for, told in one line with its remedy. The command line exits with 2."""
