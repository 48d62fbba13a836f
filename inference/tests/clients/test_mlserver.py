"""`mlserver infer`: a file of requests in, a file of answers out."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Served


@pytest.mark.parametrize("form", [[], ["--binary-data"]], ids=["json", "binary"])
@pytest.mark.parametrize("batch", ["1", "4"])
def test_a_file_of_requests(served: Served, tmp_path: Path, batch: str, form: list[str]) -> None:
    into, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    shape = [1, len(served.features)]
    lines = [
        json.dumps({"inputs": [{"name": "rows", "datatype": "FP64", "shape": shape, "data": row}]})
        for row in served.rows
    ]
    into.write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-c", "from mlserver.cli import main; main()", "infer", "-u", served.http, "-m", served.name]
    subprocess.run([*command, "-i", into, "-o", out, "-s", batch, *form], check=True, timeout=60)
    found = {}
    for line in out.read_text().splitlines():
        answer = json.loads(line)
        index = answer["parameters"]["batch_index"] if "parameters" in answer else len(found)
        output = next(it for it in answer["outputs"] if it["name"] in ("outcome", "value"))
        found[index] = output["data"][0]
    assert [found[index] for index in sorted(found)] == served.answers
