"""The commands of the command line, a module each, with `add(commands)`.

`cli.COMMANDS` lists them; arguments that several have are in `arguments`.
"""
