"""Holds every error that an operator may see in one tree, each with one safe line and a remedy.

* CockpitError: something could not be done.
  + AccessProblem: the cluster cannot even be tried.
  + BodyProblem: an answer is longer than it may be, or packed.
  + BundleProblem: a file is no bundle, or no signer set.
  + ClusterProblem: the drill's Postgres server did not come up.
  + ConfigProblem: a setting or an argument cannot be used.
  + ExpositionProblem: an answer is no page of metrics.
  + GapStays: a Solana node does not keep the transactions that are missing.
  + IncidentProblem: the incident's record cannot take what was asked.
  + JournalProblem: the journal cannot be read or written, so nothing may be sent.
  + KeyMissing: a fingerprint was made with a key that is not here.
  + KubeError: the API server refused, failed or could not be reached.
    - Conflict: 409, somebody else was first.
    - Denied: 403, the right is missing.
    - Gone: 410, what was listed has expired.
    - Invalid: 400 and its kind, the request itself is wrong.
    - NotFound: 404, no such object.
      . NotServed: 404, no such kind in this version of the API.
    - ServerFault: 5xx, a redirect, or an answer that makes no sense.
      . Garbled: a line of a watch made no sense.
    - Throttled: 429, the server asks to wait.
    - Unauthorised: 401, the credentials are not accepted.
    - Unreachable: there was no answer.
  + NoDrill: no drill is running, or it does not answer.
  + NoPod: the pods whose logs are asked for are gone.
  + NotReady: the cluster or the journal is not there (yet).
  + PgProblem: the database gave no answer.
  + PlanProblem: there is no plan, or a confirmed one was not sent.
  + ProbeProblem: a service's own address gave no answer to use.
  + PromFault: Prometheus gave no answer to use.
  + RegistryError: a row of a registry of plug-ins lacks a part, or has the name of another.
  + RoundProblem: a maintenance round cannot be made or kept.
  + RpcProblem: a Solana node gave no answer to use.
  + SqlProblem: a statement of a step did not run, or may not have.
  + StreamBroken: a Solana subscription ended.
  + UsageProblem: a word of the command line, or of a form, cannot be used.
    - UnknownName: there is nothing of that name.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar

from cockpit.text import safe

#: A policy that refuses says at the end of its message whom to ask.
REASON_LIMIT, REMEDY_LIMIT = 2000, 1000


class CockpitError(Exception):
    """Something could not be done: `reason` says why, `remedy` what the operator can do.

    Both are one line that is safe to print. Each class of the tree has a `usual_remedy`, for where
    it is raised without one that fits better.
    """

    usual_remedy: ClassVar[str] = ""
    exit_code: ClassVar[int] = 70  # EX_SOFTWARE

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = safe(reason, REASON_LIMIT)
        self.remedy = safe(remedy or self.usual_remedy, REMEDY_LIMIT)

    @staticmethod
    def of(error: BaseException) -> CockpitError:
        """Return `error` itself when it is of the tree, else one that says the same in one line."""
        if isinstance(error, CockpitError):
            return error
        remedy = "mend that and try again" if isinstance(error, OSError) else "it is a bug: please report it"
        return CockpitError(safe(error) or type(error).__name__, remedy)

    def line(self) -> str:
        """Return the reason, with the remedy in brackets where there is one."""
        return f"{self.reason} ({self.remedy})" if self.remedy else self.reason

    def __str__(self) -> str:
        return self.reason


class UsageProblem(CockpitError):
    """A word of the command line, or of a form, cannot be used; nothing was done."""

    exit_code = 64  # EX_USAGE: never mistaken for a state (0–3) or an outcome
    usual_remedy = "see `m0-cockpit --help`"


class UnknownName(UsageProblem, KeyError):
    """There is no `what` of the name that was `given`: says which of the `known` may be meant.

    Without a remedy all that are known are listed.
    """

    def __init__(self, what: str, given: str, known: Iterable[str], remedy: str = "", *, within: str = "") -> None:
        names = [str(name) for name in known]
        head = f"{within} has no" if within else "there is no"
        reason = f"{head} {what} {safe(given, 60)!r}{nearest(given, names)}"
        super().__init__(reason, remedy or f"one of: {', '.join(names) or 'none'}")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` or nothing."""
    given = name.lower()[:100]
    spelt = {each.lower(): each for each in reversed(list(known)) if _bare(each.lower()) != _bare(given)}
    close = difflib.get_close_matches(given, spelt, n=1, cutoff=0.6)
    return f"; did you mean {spelt[close[0]]!r}?" if close else ""


def _bare(name: str) -> str:
    """Return it without digits: another number is another thing, not a slip of the finger."""
    return "".join(char for char in name if not char.isdigit())
