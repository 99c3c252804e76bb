"""Every address: who may ask, what is answered, and how a refusal reads."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError

from tinytorch_core import studying
from tinytorch_core.server import handlers
from tinytorch_core.studying import Study
from tinytorch_core.tests.server.conftest import Call, FakeGrader, until_done, value

POSTS = [
    "workspace",
    "modules/01_counting/open",
    "modules/01_counting/reset",
    "modules/01_counting/restore",
    "modules/01_counting/complete",
    "historical/pascaline_1642/open",
]
GETS = [
    "course",
    "health",
    "attempts/x",
    "modules/01_counting/attempts",
    "modules/01_counting/solution",
    "modules/01_counting/diff",
]


async def test_a_course_without_a_workspace_can_be_looked_at(api: Call) -> None:
    course = value(await api("GET", "course"))
    assert course["workspace"] is None
    assert [m["id"] for m in course["modules"]] == ["01_counting", "02_adding", "03_doubling", "04_tripling"]


async def test_making_the_workspace_opens_the_first_module(api: Call, jp_root_dir: Path) -> None:
    made = await api("POST", "workspace")
    assert made.code == 201
    assert value(made) == {"path": "", "workspace": str(jp_root_dir)}
    assert (jp_root_dir / "notebooks/01_counting.ipynb").is_file()
    course = value(await api("GET", "course"))
    assert course["workspace"] == str(jp_root_dir)
    assert [m["state"] for m in course["modules"]] == ["available", "locked", "locked", "locked"]


async def test_making_the_workspace_twice_changes_nothing(api: Call, study: Study) -> None:
    notebook = study.workspace.root / "notebooks/01_counting.ipynb"
    notebook.write_text("mine")
    assert (await api("POST", "workspace")).code == 201
    assert notebook.read_text() == "mine"


@pytest.mark.parametrize("path", [p for p in POSTS if p != "workspace"])
async def test_without_a_workspace_there_is_nothing_to_work_on(api: Call, path: str) -> None:
    response = await api("POST", path)
    assert response.code == 409
    assert value(response)["reason"] == "WorkspaceError"


async def test_open_answers_with_the_path_that_jupyterlab_knows(api: Call, study: Study) -> None:
    response = await api("POST", "modules/01_counting/open")
    assert response.code == 200
    assert value(response)["path"] == "notebooks/01_counting.ipynb"


async def test_a_deleted_notebook_is_there_again_when_it_is_opened(api: Call, study: Study) -> None:
    notebook = study.workspace.root / "notebooks/01_counting.ipynb"
    notebook.unlink()
    await api("POST", "modules/01_counting/open")
    assert notebook.is_file()


@pytest.mark.parametrize("what", ["open", "reset", "restore", "complete"])
async def test_a_locked_module_is_refused_with_the_reason(api: Call, study: Study, what: str) -> None:
    response = await api("POST", f"modules/02_adding/{what}")
    assert response.code == 409
    assert value(response)["reason"] == "NotAllowed"
    assert "01 Counting" in value(response)["message"]


async def test_a_coming_module_says_so(api: Call, study: Study) -> None:
    response = await api("POST", "modules/04_tripling/open")
    assert response.code == 409


async def test_a_locked_historical_notebook_is_refused(api: Call, study: Study) -> None:
    assert (await api("POST", "historical/pascaline_1642/open")).code == 409


@pytest.mark.parametrize("module", ["99_nothing", "1", "counting", "..%2F..%2Fetc", "9" * 5000])
async def test_an_unknown_module_is_not_found(api: Call, study: Study, module: str) -> None:
    for what in ("open", "reset", "restore", "complete"):
        assert (await api("POST", f"modules/{module}/{what}")).code == 404
    for what in ("attempts", "solution", "diff"):
        assert (await api("GET", f"modules/{module}/{what}")).code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "historical/nothing/open"),
        ("GET", "attempts/nothing"),
        ("DELETE", "attempts/nothing"),
        ("GET", "elsewhere"),
        ("GET", ""),
    ],
)
async def test_an_unknown_address_is_not_found(api: Call, study: Study, method: str, path: str) -> None:
    response = await api(method, path)
    assert response.code == 404
    assert value(response)["reason"] == "UnknownName"


@pytest.mark.parametrize("body", ["[]", "{", '{"surprise": 1}', '{"check_only": "yes"}', "\xff", "null"])
async def test_a_body_that_is_not_described_is_refused(api: Call, study: Study, body: str) -> None:
    for path in POSTS:
        response = await api("POST", path, body.encode("latin-1"))
        assert response.code == 400, path
        assert value(response)["reason"] == "UsageError"


async def test_a_body_that_is_too_large_is_refused(api: Call, study: Study) -> None:
    body = b'{"check_only": ' + b" " * handlers.MAX_BODY + b"true}"
    assert (await api("POST", "modules/01_counting/complete", body)).code == 413


async def test_no_body_stands_for_an_empty_one(api: Call, study: Study) -> None:
    assert (await api("POST", "modules/01_counting/open", b"")).code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [*[("POST", p) for p in POSTS], *[("GET", p) for p in GETS], ("DELETE", "attempts/x"), ("GET", "elsewhere")],
)
async def test_a_stranger_is_refused(
    services: Any, http_server_client: Any, jp_base_url: str, method: str, path: str
) -> None:
    body = "{}" if method == "POST" else None
    with pytest.raises(HTTPClientError) as refused:
        await http_server_client.fetch(f"{jp_base_url}tinytorch/api/{path}", method=method, body=body)
    assert refused.value.code == 403


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_a_browser_without_the_xsrf_token_is_refused(
    services: Any, http_server_client: Any, jp_base_url: str, jp_serverapp: Any, method: str
) -> None:
    """A cookie alone proves nothing: any page can make a browser send it. A script's token in a header is enough."""
    cookie = await _login_cookie(http_server_client, jp_base_url, jp_serverapp)
    path = "modules/01_counting/complete" if method == "POST" else "attempts/x"
    with pytest.raises(HTTPClientError) as refused:
        await http_server_client.fetch(
            f"{jp_base_url}tinytorch/api/{path}",
            method=method,
            headers={"Cookie": cookie},
            body="{}" if method == "POST" else None,
        )
    assert refused.value.code == 403
    assert refused.value.response is not None
    assert b"_xsrf" in refused.value.response.body


async def _login_cookie(client: Any, base_url: str, app: Any) -> str:
    """What a browser holds after it has opened the page with the token in its address."""
    response = await client.fetch(f"{base_url}api/status?token={app.identity_provider.token}", follow_redirects=False)
    cookies = [header.split(";")[0] for header in response.headers.get_list("Set-Cookie")]
    login = [cookie for cookie in cookies if cookie.startswith("username-")]
    assert login, cookies
    return "; ".join(login)


async def test_who_may_not_is_refused(
    api: Call, study: Study, jp_serverapp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def only_reading(handler: Any, user: Any, action: str, resource: str) -> bool:
        asked.append((action, resource))
        return action == "read"

    monkeypatch.setattr(jp_serverapp.authorizer, "is_authorized", only_reading)
    assert (await api("GET", "course")).code == 200
    assert (await api("POST", "modules/01_counting/complete")).code == 403
    assert asked[-1] == ("write", "tinytorch")


async def test_reset_keeps_a_backup_and_says_where(api: Call, study: Study) -> None:
    notebook = study.workspace.root / "notebooks/01_counting.ipynb"
    notebook.write_text("mine")
    answer = value(await api("POST", "modules/01_counting/reset"))
    assert (study.workspace.root / answer["backup"]).read_text() == "mine"
    assert "NotImplementedError" in notebook.read_text()


async def test_restore_puts_a_deleted_exercise_back(api: Call, study: Study) -> None:
    notebook = study.workspace.root / "notebooks/01_counting.ipynb"
    text = notebook.read_text()
    data = __import__("json").loads(text)
    data["cells"] = [c for c in data["cells"] if c["id"] != "exercise-count-mean"]
    notebook.write_text(__import__("json").dumps(data))
    answer = value(await api("POST", "modules/01_counting/restore"))
    assert answer["done"]
    assert "exercise-count-mean" in notebook.read_text()


async def test_the_solution_waits_until_the_module_is_complete(api: Call, study: Study, grader: FakeGrader) -> None:
    refused = await api("GET", "modules/01_counting/solution")
    assert refused.code == 409
    await _completed(api)
    solution = value(await api("GET", "modules/01_counting/solution"))
    assert "return len(items)" in solution["source"]
    assert solution["notebook"]["cells"]


async def test_diff_shows_what_changed_since_the_module_passed(api: Call, study: Study, grader: FakeGrader) -> None:
    await _completed(api)
    same = value(await api("GET", "modules/01_counting/diff"))
    assert (same["against"], same["same"]) == ("accepted", True)
    notebook = study.workspace.root / "notebooks/01_counting.ipynb"
    notebook.write_text(notebook.read_text().replace('NotImplementedError(\\"count-items\\")', "ValueError"))
    changed = value(await api("GET", "modules/01_counting/diff"))
    assert "ValueError" in changed["notebook"]
    assert "+    raise ValueError" in changed["source"]


async def test_diff_before_it_passed_shows_what_the_student_wrote(api: Call, study: Study) -> None:
    assert value(await api("GET", "modules/01_counting/diff"))["against"] == "original"
    assert (await api("GET", "modules/01_counting/diff", params={"against": "solution"})).code == 409
    assert (await api("GET", "modules/01_counting/diff", params={"against": "accepted"})).code == 409
    assert (await api("GET", "modules/01_counting/diff", params={"against": "nothing"})).code == 400


async def test_health_names_both_halves(api: Call, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    from tinytorch_core import __version__, doctor

    monkeypatch.setattr(doctor, "labextension_version", lambda: __version__)
    health = value(await api("GET", "health"))
    assert health["ok"] is True
    assert health["version"] == health["labextension"] == __version__
    assert health["isolation"]
    assert health["workspace"] == str(study.workspace.root)


async def test_health_says_what_to_do_about_halves_that_do_not_fit(api: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from tinytorch_core import doctor

    monkeypatch.setattr(doctor, "labextension_version", lambda: "0.0.1")
    health = value(await api("GET", "health"))
    assert health["ok"] is False
    assert "Restart JupyterLab" in health["message"]


async def test_a_damaged_record_is_reported_and_kept(api: Call, study: Study) -> None:
    database = study.workspace.root / ".tinytorch/progress.db"
    database.write_bytes(b"this is no database, but long enough to look at" * 100)
    before = database.read_bytes()
    response = await api("GET", "course")
    assert response.code == 500
    assert value(response)["reason"] == "StoreError"
    assert "progress.db" in value(response)["message"]
    assert database.read_bytes() == before
    assert value(await api("GET", "health"))["ok"] is False


async def test_other_requests_are_answered_while_files_are_slow(
    api: Call, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that hangs must not hang the server: the slow work is done beside the event loop."""
    reached, release = threading.Event(), threading.Event()

    def slow(study: Study, module: object) -> object:
        reached.set()
        assert release.wait(30)
        raise ValueError

    monkeypatch.setattr(studying, "open_module", slow)
    hanging = asyncio.ensure_future(api("POST", "modules/01_counting/open"))
    while not reached.is_set():
        await asyncio.sleep(0)
    assert (await api("GET", "course")).code == 200
    assert not hanging.done()
    release.set()
    assert (await hanging).code == 500


async def _completed(api: Call) -> None:
    attempt = value(await api("POST", "modules/01_counting/complete"))["attempt"]
    assert (await until_done(api, attempt))["recorded"] is True
