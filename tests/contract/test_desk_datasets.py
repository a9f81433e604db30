"""The list of dataset versions, page by page, on a real PostgreSQL."""

from __future__ import annotations

import json
from pathlib import Path

from services.feedback.desk.datasets import PAGE
from shared import settings
from shared.postgres import open_pool
from tests.contract.desk_app import application, config, program

MADE = {"rows": {"dpo": {"train": 3}}, "configuration": {"mailboxes": None}, "files": []}


async def test_versions_come_page_by_page(postgres_dsn: str, tmp_path: Path) -> None:
    pool = await open_pool(settings.Postgres(dsn=postgres_dsn, pool=1), "test")
    await pool.execute("truncate feedback.datasets")
    await pool.executemany(
        "insert into feedback.datasets values ($1, now(), 'data', $2, $3::jsonb)",
        [(n, f"datasets/v{n}/", json.dumps(MADE)) for n in range(1, PAGE + 3)],
    )
    async with application(config(postgres_dsn, tmp_path)) as app, program(app, "data") as data:
        data.headers["accept"] = "text/html"
        newest = (await data.get("/desk/datasets")).text
        assert newest.count('<th scope="row"><a href="/desk/datasets/') == PAGE
        assert 'href="/desk/datasets?after=3"' in newest
        assert 'id="page-first"' not in newest
        oldest = (await data.get("/desk/datasets?after=3")).text
        assert [f">v{n}</a>" in oldest for n in (3, 2, 1)] == [False, True, True]
        assert 'id="page-next"' not in oldest
        assert 'href="/desk/datasets" id="page-first"' in oldest
        assert 'id="page-first"' in (await data.get("/desk/datasets?after=1")).text
        told = (await data.get("/v1/datasets?limit=2&after=5")).json()
        assert [version["version"] for version in told] == [4, 3]
        assert (await data.get("/v1/datasets?limit=0")).status_code == 422
    await pool.execute("truncate feedback.datasets")
    await pool.close()
