"""Parses the command line and reports errors.

Errors are one line that says what to do; `--debug` adds the rest. Exit codes: docs/commands.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cockpit import __version__, crash
from cockpit.errors import CockpitError, UsageProblem, nearest
from cockpit.model.registry import RegistryError, need_file
from cockpit.text import safe

if TYPE_CHECKING:
    from cockpit.commands import CommandSpec

LINE = 2000


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        self.exit(UsageProblem.exit_code, f"m0-cockpit: {safe(message, LINE)} (see `{self.prog} --help`)\n")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            flags = [flag for parser in _parsers(self) for flag in parser._option_string_actions]
            meant = next(filter(None, (nearest(word.split("=")[0], flags) for word in rest if word[:1] == "-")), "")
            self.error(f"unrecognized arguments: {' '.join(rest)}{meant}")
        return found

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(each) for each in action.choices]
            words = f"invalid choice: {str(value)!r}{nearest(str(value), known)} (choose from {', '.join(known)})"
            raise argparse.ArgumentError(action, words)


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from _parsers(child)


def shared_flags(parser: argparse.ArgumentParser, *, suppress: bool) -> None:
    """Declare the flags that mean the same everywhere, before and after the subcommand."""
    default: Any = argparse.SUPPRESS if suppress else None
    group = parser.add_argument_group("where to look")
    group.add_argument("--context", metavar="C", default=default, help="kubeconfig context")
    group.add_argument(
        "--kubeconfig",
        metavar="FILE",
        default=default,
        help="kubeconfig file (else KUBECONFIG, ~/.kube/config, in-cluster)",
    )
    group.add_argument(
        "-n",
        "--namespace",
        metavar="NS",
        action="append",
        default=default,
        help="namespace; repeat to watch several, steps act in the first",
    )
    group.add_argument("--prometheus", metavar="URL", default=default, help="Prometheus address, path prefix included")
    group.add_argument(
        "--runbooks",
        dest="runbooks_file",
        metavar="FILE",
        default=default,
        help="a runbooks.toml that extends or overrides the packaged one",
    )
    group.add_argument(
        "--config", metavar="FILE", default=default, help="configuration file (else ~/.config/m0-cockpit/config.toml)"
    )
    group.add_argument(
        "--read-only",
        action="store_true",
        default=default,
        help="look, never change: no request but reads is ever sent",
    )
    group.add_argument(
        "--debug", action="store_true", default=default, help="on an error, print the traceback too (secrets redacted)"
    )


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """Build the whole grammar.

    With `only`, the other subcommands are declared by name alone (start-up stays lean).
    """
    parser = _Parser(
        prog="m0-cockpit",
        description="Incident cockpit for M0Club: what is wrong, which runbook it is, "
        "and its steps, guarded and proven.",
        epilog="Keys on the screen: ? shows them all. Documentation: docs/.",
    )
    parser.add_argument("--version", action="version", version=f"m0-cockpit {__version__}")
    parser.set_defaults(whole_grammar=build_parser)  # of which `completion` makes its scripts
    shared_flags(parser, suppress=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name, row in command_rows().items():
        child = commands.add_parser(name, help=row.help, description=row.help)
        shared_flags(child, suppress=True)
        if only is None or only == name:
            module_of(name).add(child)
            for action in child._actions:  # `journal undo 3 --context C` is a habit too
                if isinstance(action, argparse._SubParsersAction):
                    for grandchild in action.choices.values():
                        shared_flags(grandchild, suppress=True)
    return parser


def command_rows() -> Mapping[str, CommandSpec]:
    """Return the subcommands by name; imported here, so that a row that is none is one line too.

    Raises RegistryError.
    """
    rows: Mapping[str, CommandSpec] = import_module("cockpit.commands").command_rows()
    return rows


def module_of(command: str) -> ModuleType:
    """Import the file of a command's row.

    Raises RegistryError, naming the row, when there is no such file or it lacks `add` or `run`.
    """
    where, name = "cockpit/commands/__init__.py", f"cockpit.commands.{command}"
    need_file(name, where=where, row=command)
    module = import_module(name)
    lacking = [part for part in ("add", "run") if not callable(getattr(module, part, None))]
    if lacking:
        raise RegistryError(f"{where}: row {command!r}: its file lacks {', '.join(lacking)}")
    return module


def main(argv: list[str] | None = None) -> int:
    """Run the command that `argv` names and return its exit code.

    Never lets a traceback out unless --debug.
    """
    arguments = sys.argv[1:] if argv is None else argv
    debug = "--debug" in arguments
    crash.install(debug=debug)
    try:
        rows = command_rows()
        command = next((word for word in arguments if word in rows), "live")
        args = build_parser(command).parse_args(arguments)
        debug = bool(args.debug)
        if args.command is None:
            build_parser("live").parse_args(["live"], namespace=args)
        import_module("cockpit.commands.startup").check_rows()
        return int(module_of(args.command or "live").run(args))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    except Exception as error:
        return report(error, debug=debug)


def report(error: Exception, *, debug: bool) -> int:
    """Print one line on stderr, with the remedy where the error has one."""
    if debug:
        print("\n".join(crash.traceback_lines(error)), file=sys.stderr)
    known = CockpitError.of(error)
    if known is not error and not debug:
        known = CockpitError(f"{type(error).__name__}: {known.reason}", "run again with --debug for the details")
    print(f"m0-cockpit: {known.line()}", file=sys.stderr)
    return known.exit_code


if __name__ == "__main__":
    sys.exit(main())
