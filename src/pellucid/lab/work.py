"""What a job may be asked to do: any question, a search for a learning rate, a run measured on its pictures."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Any

from pellucid.lab.answers import Query, answer, drawn, require_sense
from pellucid.lab.holdings import Library
from pellucid.lab.jobs import Work
from pellucid.lab.runs.asked import AskedRun
from pellucid.lab.runs.runs import Runs
from pellucid.lab.wire import Problem, require_known
from pellucid.pictures import Picture
from pellucid.plain import PlainError, read, to_json

FORMS = ("json", "drawn")


class Worker:
    """Makes work of what a page asks for."""

    def __init__(self, library: Library, runs: Runs) -> None:
        self.holdings, self.runs = library, runs
        self._own: dict[str, tuple[Callable[[dict[str, Any]], Work], tuple[str, ...]]] = {
            "find-rate": (self._rate, ("training",)),
            "evaluate": (self._evaluation, ("run",)),
        }

    def asked(self, body: Any) -> tuple[str, Work]:
        """The name of what is asked for, and the work. Raises `Problem` and `PellucidError` for what makes no sense."""
        name = body.get("question") if isinstance(body, dict) else None
        if not isinstance(name, str):
            raise Problem(400, "No question", "a job is asked for by {question: ...}", "question", "See docs/lab.md")
        if name in self._own:
            work, takes = self._own[name]
            require_known(body, ("question", *takes))
            return name, work(body)
        require_known(body, ("question", "query", "form"))
        query, form = _pairs(body.get("query", [])), body.get("form", FORMS[0])
        if form not in FORMS:
            raise Problem(400, "No such form", f"{form!r:.40}", "form", f"There are {', '.join(FORMS)}")
        require_sense(name, query, self.holdings)
        if form == "drawn":
            return name, lambda: drawn(name, "drawn", query, self.holdings)[0]
        return name, lambda: to_json(answer(name, query, self.holdings)).encode()

    def _rate(self, body: dict[str, Any]) -> Work:
        asked = AskedRun.of(body.get("training", {}))
        data = self.runs.allowed(asked)
        asked.config()

        def work() -> bytes:
            from pellucid.train import find_learning_rate

            net, parts, config = asked.network_and_data(data)
            found = find_learning_rate(net, parts, config)
            words = ["pellucid", "find-rate", "--data", data, "--model", asked.network.model]
            words += ["--optimizer", config.optimizer, "--batch", str(config.batch_size), "--seed", str(config.seed)]
            python = "\n".join([
                "from pellucid.lab.runs.asked import AskedRun",
                "from pellucid.train import find_learning_rate",
                "",
                f"asked = AskedRun.of({asked.to_dict()!r})",
                f"print(find_learning_rate(*asked.network_and_data({data!r})))",
            ])  # fmt: skip
            return _told("find-rate", asked.to_dict(), found, found.picture(), shlex.join(words), python)

        return work

    def _evaluation(self, body: dict[str, Any]) -> Work:
        run = body.get("run")
        if not isinstance(run, str):
            raise Problem(400, "A parameter is missing", "evaluate wants run, the name of one", "run")
        name = self.runs.state(run, False)["network"]

        def work() -> bytes:
            from pellucid.opening import open_model
            from pellucid.questions.measured import measured
            from pellucid.train.report import evaluation_page

            opened = open_model(name)
            images = measured(opened, "", numbers=True)
            found = opened.evaluate(images.dataset, part=images.part)
            page = evaluation_page(found, images.dataset, opened.net, opened.preparation)
            made = [
                "import pellucid as pl",
                "from pellucid.questions.measured import measured",
                "",
                f"opened = pl.open_model({name!r})",
                "images = measured(opened, '', numbers=True)",
                "found = opened.evaluate(images.dataset, part=images.part)",
            ]  # fmt: skip
            drawn = [
                made[0], "from pellucid.pictures.answer import figure_of", made[1], "from pellucid.train.report import evaluation_page",
                *made[2:], "page = evaluation_page(found, images.dataset, opened.net, opened.preparation)",
            ]  # fmt: skip
            command = shlex.join(["pellucid", "evaluate", name])
            figures = [
                {
                    "title": figure.title or figure.kind,
                    "command": f"{command} --figure {number}",
                    "python": "\n".join([*drawn, f"print(figure_of(page, {number}))"]),
                }
                for number, figure in enumerate(page.figures())
            ]
            python = "\n".join([*made, "print(found)"])
            return _told("evaluate", {"run": name}, found, page, command, python, figures)

        return work


def _told(
    question: str,
    asked: dict[str, Any],
    found: Any,
    picture: Picture,
    command: str,
    python: str,
    figures: Sequence[dict[str, str]] = (),
) -> bytes:
    """An answer as /api/v1 gives those of questions, with its picture as a part of a page, and how each of its `figures` is asked for."""
    told = {
        "question": question,
        "asked": asked,
        "answer": found.to_dict(),
        "picture": picture.to_dict(),
        "text": str(found),
        "command": command,
        "python": python,
        "part": picture.part(),
        "figures": list(figures),
    }
    return to_json(told).encode()


def _pairs(given: Any) -> Query:
    """Names with their texts, as an address has them. Raises `Problem`."""
    try:
        return read(list[tuple[str, str]], given, "query")
    except PlainError as error:
        raise Problem(400, "No query", f'query is a list of ["name", "text"]: {error}', "query") from error
