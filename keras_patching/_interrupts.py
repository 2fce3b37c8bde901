"""Ctrl-C, however it arrives."""


def interrupt_behind(error: BaseException) -> KeyboardInterrupt | None:
    """Give the interrupt that an error is, or that it hides.

    One that comes while Python takes a lock again, as it does after each wait
    for a thread, ends in "release unlocked lock" of that lock.

    Args:
        error: What was raised.

    Returns:
        The `KeyboardInterrupt`, or `None` if there is none.
    """
    while isinstance(error, RuntimeError) and error.__context__ is not None:
        error = error.__context__
    return error if isinstance(error, KeyboardInterrupt) else None
