"""`sql` runs one reviewed statement of an allowed shape, as the role of `admin-url`.

It has a session of its own; `mitigation/sql/shapes.py` has the shapes.

Keys: `args.statement` (names in it may be "{param}"); optional `args.timeout` and
`args.lock-timeout` in seconds. Always dangerous: the name of the index, table or backend is typed.
A new index is read back from the catalog; an invalid leftover is named, and dropping it is the
inverse.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cockpit.mitigation.kind import Draft, RawInverse, Ready
from cockpit.mitigation.outcome import Judgement, Outcome
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.sql.session import SqlProblem, run_statement
from cockpit.mitigation.sql.shapes import parse
from cockpit.mitigation.sql.state import reading, server_of, state_of
from cockpit.mitigation.steps.parameters import filled
from cockpit.model.plan import Change, GuardResult, Proof, Rollout, SqlRun, Verdict
from cockpit.text import clean

if TYPE_CHECKING:
    from cockpit.mitigation.context import OnProgress, StepContext
    from cockpit.mitigation.kind import Intent, PlanRequest, Prepared
    from cockpit.mitigation.sql.shapes import Statement
    from cockpit.mitigation.sql.state import State

_TIMEOUT_S = {"create": 3600.0, "drop": 600.0, "analyze": 900.0, "vacuum": 3600.0, "terminate": 10.0, "cancel": 10.0}
_LOCK_TIMEOUT_S = 5.0
_LONGEST_S = 6 * 3600.0
_AFTER = {
    "create": "valid",
    "drop": "gone",
    "analyze": "analysed now",
    "vacuum": "vacuumed now",
    "terminate": "terminated",
    "cancel": "its query cancelled",
}


class Sql:
    async def draft(self, request: PlanRequest, context: StepContext, salt: str) -> Draft:
        url = _url(context)
        if request.arguments is not None:
            statement, args = parse(str(request.arguments["statement"])), {}
        else:
            assert request.step is not None
            args = request.step.args
            statement = parse(
                filled(args.get("statement", ""), request.values, f"step {request.step.id}: args.statement")
            )
        state = await _state(url, statement)
        if state.problem:
            raise PlanProblem(state.problem, state.remedy)
        effect = SqlRun(
            server_of(url),
            statement.sql,
            _seconds(args, "timeout", _TIMEOUT_S[statement.verb]),
            _seconds(args, "lock-timeout", _LOCK_TIMEOUT_S),
        )
        after = _AFTER[statement.verb]
        inverse = None
        if statement.inverse:
            arguments = {"statement": statement.inverse}
            inverse = RawInverse(
                arguments, arguments, f"drop the index {statement.name}, concurrently", _line(statement.inverse)
            )
        return Draft(
            scope={"statement": statement.sql},
            relevant={"state": state.mark},
            expected={"state": after},
            changes=(Change(f"{statement.kind.lower()} {statement.name}", _before(statement, state), after),),
            kubectl=_line(statement.sql),
            blast=_blast(statement, effect, state),
            inverse=inverse,
            effect=effect,
            target=context.target(statement.kind, statement.name),
            idle=state.done,
            dangers=(f"changes the database {effect.server}",),
            guards=(GuardResult("database", Verdict.PASS, "read just now"),),
            hidden=(url,),
        )

    async def recheck(self, prepared: Prepared, context: StepContext) -> Ready | Outcome:
        try:
            state = await _state(_url(context), parse(str(prepared.draft.scope["statement"])))
        except PlanProblem as problem:
            return Outcome("not sent", problem.line())
        if state.problem or state.mark != prepared.draft.relevant["state"]:
            return Outcome("stale", state.problem or f"it is another now: {state.words}")
        return Ready(prepared.plan.request)

    async def send(
        self, prepared: Prepared, ready: Ready, context: StepContext, intent: Intent, on_progress: OnProgress
    ) -> Outcome:
        effect = ready.effect
        intent(effect)
        assert isinstance(effect, SqlRun)

        def started(pid: int) -> None:
            on_progress(f"running, as backend {pid} (SELECT pg_cancel_backend({pid}) ends it)")

        try:
            words = await run_statement(
                _url(context),
                effect.statement,
                timeout_s=effect.timeout_s,
                lock_timeout_s=effect.lock_timeout_s,
                started=started,
                stop=context.stopping,
            )
        except SqlProblem as problem:
            if not problem.sent:
                return Outcome("not sent", problem.reason)
            judged = await self._judge(str(prepared.draft.scope["statement"]), context)
            words = f"{problem.reason}; {problem.remedy}"
            if judged.state == "applied":
                return Outcome("sent", f"done all the same ({words})")
            if problem.answered or judged.state != "unknown":
                return Outcome("rejected", words if judged.state == "unknown" else f"{words}; {judged.words}")
            return Outcome("uncertain", f"{words}; {judged.words}")
        return Outcome("sent", words)

    async def watch(
        self, prepared: Prepared, outcome: Outcome, context: StepContext, on_progress: OnProgress
    ) -> Rollout:
        if str(prepared.draft.scope["statement"]).startswith("CREATE"):
            on_progress(proof=Proof.PASS)  # `run_statement` has read it back from the catalog
        return Rollout(done=True, failed=False, words=outcome.words)

    async def judge(self, intent: Mapping[str, Any], context: StepContext) -> Judgement:
        return await self._judge(str(intent["scope"]["statement"]), context)

    async def _judge(self, text: str, context: StepContext) -> Judgement:
        """Judge an index by itself; of the rest nothing tells whether it ran."""
        statement = parse(text)
        if statement.verb not in ("create", "drop"):
            return Judgement("unknown", "it may have run: nothing tells whether it did", final=True)
        try:
            state = await _state(_url(context), statement)
        except PlanProblem as problem:
            return Judgement("unknown", f"it may have run; {problem.line()}")
        if state.done:
            return Judgement("applied", f"index {statement.name} is {_AFTER[statement.verb]}")
        if state.mark == "invalid":
            drop = statement.inverse.replace(" IF EXISTS", "")
            return Judgement("changed", f"index {statement.name} is there but invalid: {drop}")
        return Judgement(
            "not applied", f"index {statement.name} is {'still there' if statement.verb == 'drop' else 'not there'}"
        )


KIND = Sql()


def _url(context: StepContext) -> str:
    url = context.backends.admin_url()
    if not url:
        raise PlanProblem(
            "no role that may change the database is configured", "set [postgres] admin-url (or admin-url-file)"
        )
    return url


async def _state(url: str, statement: Statement) -> State:
    async with reading(url) as session:
        return await state_of(session, statement)


def _seconds(args: Mapping[str, str], key: str, default: float) -> float:
    text = args.get(key, "")
    try:
        seconds = float(text) if text else default
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST_S:
        raise PlanProblem(f"{key} {clean(text, 40)}: expected seconds, up to {_LONGEST_S:.0f}", f"correct args.{key}")
    return seconds


def _before(statement: Statement, state: State) -> str | None:
    if statement.verb == "create":
        return "valid" if state.done else None
    return state.words


def _blast(statement: Statement, effect: SqlRun, state: State) -> tuple[str, ...]:
    lines = [f"on {effect.server}"]
    if statement.verb == "create":
        lines += [state.words, "built beside reads and writes; it waits for older transactions, and loads disk and CPU"]
    elif statement.verb in ("terminate", "cancel"):
        lines.append(
            "its client sees an error"
            + ("; what it had not committed is rolled back" if statement.verb == "terminate" else "")
        )
    lines.append(
        f"given up after {effect.timeout_s:.0f} s, or when a lock is not free within {effect.lock_timeout_s:.0f} s"
    )
    return tuple(lines)


def _line(sql: str) -> str:
    return f'psql "$ADMIN_URL" -c {shlex.quote(sql)}'
