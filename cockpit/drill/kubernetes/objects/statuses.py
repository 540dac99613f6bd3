"""Words errors as a kube-apiserver does, as Status objects (recordings 10–64)."""

from __future__ import annotations

from collections.abc import Sequence

from cockpit.drill.kubernetes.objects.resources import Obj, Resource


class ApiError(Exception):
    """Carries an answer with `code` and a Status body.

    `headers` are added to the answer (Retry-After).
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Obj | None = None,
        headers: dict[str, str] | None = None,
        metadata: Obj | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.headers = headers or {}
        self.text = ""  # the whole answer, where it is no Status
        self.status: Obj = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata or {},
            "status": "Failure",
            "message": message,
            **({"reason": reason} if reason else {}),
        }
        if details is not None:
            self.status["details"] = details
        self.status["code"] = code


def _named(res: Resource, name: str) -> Obj:
    details: Obj = {"name": name} if name else {}
    if res.group:
        details["group"] = res.group
    details["kind"] = res.plural
    return details


def success(res: Resource, name: str, uid: str) -> Obj:
    """Answer a deletion that was final at once."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {**_named(res, name), "uid": uid},
    }


def not_found(res: Resource, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{res.qualified} "{name}" not found', _named(res, name))


def no_such_path() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(res: Resource, name: str) -> ApiError:
    return ApiError(409, "AlreadyExists", f'{res.qualified} "{name}" already exists', _named(res, name))


def conflict(res: Resource, name: str, why: str = "") -> ApiError:
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {res.qualified} "{name}": {why}'
    return ApiError(409, "Conflict", message, _named(res, name))


def unauthorised() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(user: str, verb: str, res: Resource, sub: str, namespace: str, name: str) -> ApiError:
    what = f"{res.plural}/{sub}" if sub else res.plural
    where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
    subject = f'{res.qualified} "{name}"' if name else res.qualified
    message = f'{subject} is forbidden: User "{user}" cannot {verb} resource "{what}" in API group "{res.group}"{where}'
    return ApiError(403, "Forbidden", message, _named(res, name))


def forbidden_path(user: str, verb: str, path: str) -> ApiError:
    return ApiError(403, "Forbidden", f'forbidden: User "{user}" cannot {verb} path "{path}"', {})


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def method_not_allowed() -> ApiError:
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, {})


def unsupported_media_type() -> ApiError:
    return ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})


def too_many_requests(retry_after_s: int) -> ApiError:
    """Make what priority and fairness answers, which is no Status."""
    error = ApiError(429, "TooManyRequests", "", headers={"Retry-After": str(retry_after_s)})
    error.text = "Too many requests, please try again later.\n"
    return error


def internal(message: str) -> ApiError:
    text = f"Internal error occurred: {message}"
    return ApiError(500, "InternalError", text, {"causes": [{"message": message}]})


class Cause:
    """Describes one field error.

    `reason` is as in metav1 (`FieldValueInvalid`…), the text as `field.Error` prints it.
    """

    __slots__ = ("field", "message", "reason")

    def __init__(self, field: str, reason: str, message: str) -> None:
        self.field = field
        self.reason = reason
        self.message = message


def required(field: str, detail: str = "") -> Cause:
    return Cause(field, "FieldValueRequired", "Required value" + (f": {detail}" if detail else ""))


def invalid_value(field: str, value: object, detail: str) -> Cause:
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return Cause(field, "FieldValueInvalid", f"Invalid value: {shown}: {detail}")


def duplicate(field: str, value: str) -> Cause:
    return Cause(field, "FieldValueDuplicate", f'Duplicate value: "{value}"')


def not_supported(field: str, value: str, allowed: Sequence[str]) -> Cause:
    shown = ", ".join(f'"{a}"' for a in allowed)
    return Cause(field, "FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {shown}')


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """Make a 422 Invalid.

    Several causes are listed in brackets, as `field.ErrorList` aggregates them.
    """
    texts = [f"{c.field}: {c.message}" for c in causes]
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    who = f"{kind}.{group}" if group else kind
    details: Obj = {"name": name} if name else {}
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    details["causes"] = [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]
    return ApiError(422, "Invalid", f'{who} "{name}" is invalid: {listed}', details)


def no_such_dry_run(options: str, asked: Sequence[str]) -> ApiError:
    """Make the 422 for a dryRun that is not "All": nothing is carried out."""
    shown = ",".join(f'"{one}"' for one in asked)
    cause = Cause("dryRun", "FieldValueNotSupported", f'Unsupported value: [{shown}]: supported values: "All"')
    return invalid(options, "meta.k8s.io", "", [cause])


def unmergeable(text: str, problem: str) -> ApiError:
    """Make a 422 for a patch whose result does not decode (recording 33).

    Nameless, with the whole document quoted.
    """
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return invalid("", "", "", [Cause("patch", "FieldValueInvalid", f'Invalid value: "{quoted}": {problem}')])


def patch_rejected() -> ApiError:
    """Make a 422 for a JSON patch whose `test` failed or whose path is absent (recording 42)."""
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request", {})


def watch_expired(req: int, oldest: int) -> ApiError:
    return ApiError(410, "Expired", f"too old resource version: {req} ({oldest})")


def list_expired() -> ApiError:
    return ApiError(410, "Expired", "The resourceVersion for the provided list is too old.")


def continue_expired(token: str) -> ApiError:
    message = (
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without "
        "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
        "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
        "deleted between the time the first chunk was returned and now may show up in the list."
    )
    return ApiError(410, "Expired", message, metadata={"continue": token})


def version_malformed(text: str) -> ApiError:
    """Make the 500 of a watch from a version that is no number: the server names no reason."""
    why = f'strconv.ParseUint: parsing "{text}": invalid syntax'
    return ApiError(500, "", f'resourceVersion: Invalid value: "{text}": {why}')


def other_uid(res: Resource, name: str, wanted: str, have: str) -> ApiError:
    """Make the 409 of a deletion whose precondition names another object's uid."""
    why = (
        f"the UID in the precondition ({wanted}) does not match the UID in record ({have}). "
        "The object might have been deleted and then recreated"
    )
    return _precondition(res, name, why)


def other_version(res: Resource, name: str, wanted: str, have: str) -> ApiError:
    """Make the 409 of a deletion whose precondition names another version."""
    why = (
        f"the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record ({have}). "
        "The object might have been modified"
    )
    return _precondition(res, name, why)


def _precondition(res: Resource, name: str, why: str) -> ApiError:
    kind = f"{res.kind}.{res.group}" if res.group else res.kind  # its kind, where others name its plural
    details: Obj = {"name": name, **({"group": res.group} if res.group else {}), "kind": res.kind}
    return ApiError(409, "Conflict", f'Operation cannot be fulfilled on {kind} "{name}": {why}', details)


def version_too_large(req: int, current: int, *, listed: bool = False) -> ApiError:
    message = f"{'Timeout: ' if listed else ''}Too large resource version: {req}, current: {current}"
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    details = {"causes": [cause], "retryAfterSeconds": 1}
    return ApiError(504, "Timeout", message, details, {"Retry-After": "1"})


def watch_list_unsupported() -> ApiError:
    """Make the ERROR event of a server whose etcd is too old for streamed lists (recording 61)."""
    message = (
        "a watch stream was requested by the client but the required storage feature RequestWatchProgress is disabled"
    )
    return ApiError(500, "InternalError", message)
