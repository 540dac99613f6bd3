"""The subcommands, one file each: `add(parser)` declares, `run(args)` does and returns the exit
code.
"""
