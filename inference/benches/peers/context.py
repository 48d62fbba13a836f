"""What the parts share: programs, models, and how a server is started."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import processes
import servers
from servers import OPTIONS, Server, WrongAnswer


@dataclass
class Context:
    programs: Path
    # Those of scikit-learn.
    models: Path | None
    # By environment.
    pythons: dict[str, str]
    scratch: Path
    ports: list[int] = field(default_factory=lambda: processes.free_ports(3))

    @property
    def inference(self) -> Path:
        return self.programs / "inference"

    @property
    def log(self) -> Path:
        return self.scratch / "server.log"

    def __post_init__(self) -> None:
        """Trains our own models, so that no server waits for them."""
        self.ours = {model: self.scratch / f"{model}.json.gz" for model in OPTIONS}
        for model, file in self.ours.items():
            servers.train(self.inference, model, file)

    @cached_property
    def right_answers(self) -> dict[str, list[dict[str, Any]]]:
        return {m: servers.right_answers(self.inference, file) for m, file in self.ours.items()}

    def right(self, server: Server, model: str) -> list[Any] | None:
        """What a server must answer; None if nobody cares."""
        if server.ours:
            return self.right_answers[model]
        return servers.right_labels(self.models, model) if server.environment else None

    @contextmanager
    def started(
        self, server: Server, model: str, pinned: tuple[str, ...] = (), more: tuple[str, ...] = ()
    ) -> Iterator[subprocess.Popen]:
        """A server that is starting, in a folder of its own."""
        folder = self.scratch / server.name / model
        folder.mkdir(parents=True, exist_ok=True)
        places = self.places(server, model)
        if server.name.startswith("mlserver"):
            servers.mlserver_settings(folder, Path(places["joblib"]))
        command = [part.format(**places) for part in server.command]
        variables = {name: value.format(**places) for name, value in server.variables.items()}
        with processes.running([*pinned, *command, *more], folder, self.log, variables) as process:
            try:
                yield process
            except WrongAnswer as error:
                end = self.log.read_text(errors="replace")[-1000:]
                raise WrongAnswer(f"{error}\nits log ends:\n{end}") from error

    def places(self, server: Server, model: str) -> dict[str, Any]:
        """What stands for the placeholders of a command."""
        port, other, third = self.ports
        places = {"port": port, "other_port": other, "third_port": third}
        places |= {"programs": self.programs, "scratch": self.scratch, "ours": self.ours[model]}
        if server.environment:
            files = {kind: self.models / f"{model}.{kind}" for kind in ("joblib", "onnx")}
            places |= files | {"python": self.pythons[server.environment]}
        return places
