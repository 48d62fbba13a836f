"""What the live page shows in a browser, against the metrics that it reads."""

import contextlib
import csv
import json
import math
import os
import re
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request
from html.parser import HTMLParser
from pathlib import Path

INFERENCE = os.environ["INFERENCE"]
DATA = Path(__file__).resolve().parents[3] / "examples" / "data"
ROWS = 600
TRUTHS = 40
# Virtual: the browser does not wait for it, but for what the page asks.
BUDGET_MILLISECONDS = 5_000
HOSTILE = "<img src=x onerror=alert(1)>"


class Dom(HTMLParser):
    """Texts by id, and of rows of tables by the id of what holds them."""

    EMPTY = {"meta", "link", "br", "input", "img", "hr"}

    def __init__(self, html):
        super().__init__()
        self.open, self.texts, self.rows, self.features, self.tags = [], {}, {}, {}, set()
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.add(tag)
        if tag == "tr":
            for of in self.ids():
                self.rows.setdefault(of, []).append([])
        if tag in ("td", "th"):
            for of in self.ids():
                self.rows[of][-1].append("")
        if "data-feature" in attributes:
            self.features[attributes["data-feature"]] = ""
        if tag not in self.EMPTY:
            self.open.append((tag, attributes))

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            self.open.pop()

    def handle_data(self, data):
        for of in self.ids():
            self.texts[of] = self.texts.get(of, "") + data
            if self.within("td", "th"):
                self.rows[of][-1][-1] += data
        for _, attributes in self.open:
            if "data-feature" in attributes:
                self.features[attributes["data-feature"]] += data + "|"

    def ids(self):
        return [attributes["id"] for _, attributes in self.open if "id" in attributes]

    def within(self, *tags):
        return any(tag in tags for tag, _ in self.open)


class Server:
    def __init__(self, *arguments):
        command = [INFERENCE, "serve", "--listen", "127.0.0.1:0", *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if address := json.loads(line).get("address"):
                self.url = address
                return
        raise AssertionError("the server ended")

    def post(self, path, body):
        request = urllib.request.Request(self.url + path, body.encode(), method="POST")
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def metrics(self, token=""):
        request = urllib.request.Request(self.url + "/metrics", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request) as answer:
            lines = answer.read().decode().splitlines()
        found = []
        for line in lines:
            if not line.startswith("#"):
                series, value = line.rsplit(" ", 1)
                name, _, labels = series.partition("{")
                found.append((name, dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels)), float(value)))
        return found

    def open(self):
        """The page as it is after some polls."""
        with tempfile.TemporaryDirectory() as profile:
            command = [
                "chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
                f"--virtual-time-budget={BUDGET_MILLISECONDS}", "--dump-dom", self.url + "/",
            ]
            output = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
        return Dom(output.stdout)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stderr.close()


def rows(name):
    with (DATA / name).open() as file:
        table = list(csv.DictReader(file))
    return [table[at % len(table)] for at in range(ROWS)]


def number(text):
    return float(text.replace(",", ""))


def total(metrics, name, **wanted):
    hits = [value for found, labels, value in metrics if found == name and wanted.items() <= labels.items()]
    return sum(hits)


def drift(metrics, feature):
    """The index, written down once more and not taken from the page."""
    def bins(name):
        found = {labels["bin"]: value for of, labels, value in metrics if of == name and labels["feature"] == feature}
        return [found[bin] for bin in sorted(found)]

    counts, shares = bins("model_feature_bin_total"), bins("model_feature_reference_ratio")
    size, index = sum(counts), 0
    for count, share in zip(counts, shares):
        actual, expected = (count + 0.5) / (size + 0.5 * len(counts)), max(share, 1e-4)
        index += (actual - expected) * math.log(actual / expected)
    return max(0, index - (len(counts) - 1) / size)


class ThePage(unittest.TestCase):
    def serve(self, *arguments):
        server = Server(*arguments)
        self.addCleanup(server.stop)
        return server

    def traffic(self, server, name, target, true):
        """Predicts rows, those of the second half drifted, and tells the truth about some."""
        answers = []
        for at, row in enumerate(rows(name)):
            shift = 30 if at > ROWS / 2 else 0
            features = {key: float(value) + shift for key, value in row.items() if key != target}
            answers.append((server.post("/predict", json.dumps(features)), true(row[target])))
        for answer, truth in answers[:TRUTHS]:
            server.post("/feedback", json.dumps({"prediction_id": answer["prediction_id"], "actual": truth}))
        for path, body in [("/predict", "nonsense"), ("/predict", "{}"), ("/feedback", "[]")]:
            with contextlib.suppress(urllib.error.HTTPError):
                server.post(path, body)

    def check_drift(self, dom, metrics):
        self.assertTrue(dom.features)
        for feature, shown in dom.features.items():
            index = drift(metrics, feature)
            level = "stable" if index < 0.1 else "moderate" if index < 0.2 else "drifted"
            self.assertIn(f"|{index:.3f}|{level}|", shown.replace("–", ""), feature)

    def test_a_classifier(self):
        server = self.serve()
        self.traffic(server, "diabetes.csv", "Outcome", int)
        dom, metrics = server.open(), server.metrics()
        self.assertEqual(dom.texts["state"], "live")
        self.assertEqual(dom.texts["model"], "diabetes")
        self.assertEqual(number(dom.texts["prediction-count"]), ROWS)
        self.assertEqual(number(dom.texts["request-count"]), ROWS + TRUTHS + 3)
        self.assertEqual(number(dom.texts["error-count"]), total(metrics, "api_errors_total"))
        self.assertEqual(dom.texts["error-types"], "validation 3")
        for name, _, share, count in dom.rows["outcomes"][1:]:
            expected = total(metrics, "predictions_total", outcome=name)
            self.assertEqual((number(count), share), (expected, f"{100 * expected / ROWS:.1f} %"))
        self.check_drift(dom, metrics)
        self.check_truth(dom, metrics)
        for feature, missing, *_ in dom.rows["quality"][1:]:
            expected = total(metrics, "model_feature_invalid_total", feature=feature, reason="missing")
            self.assertEqual(number(missing), expected)

    def check_truth(self, dom, metrics):
        cells = [line[1:] for line in dom.rows["truth"][1:3]]
        name = "model_feedback_total"
        for actual, line in enumerate(cells):
            for predicted, cell in enumerate(line):
                expected = total(metrics, name, actual=str(actual), predicted=str(predicted))
                self.assertEqual(number(cell.rstrip(" ✓✗")), expected)
        right = total(metrics, name, correct="true")
        self.assertIn(f"{100 * right / TRUTHS:.1f} %", dom.texts["truth"])
        trained = total(metrics, "model_reference_score", score="accuracy")
        self.assertIn(f"{100 * trained:.1f} % in training", dom.texts["truth"])
        self.assertEqual(number(dom.texts["truth-count"]), TRUTHS)

    def test_a_regression(self):
        with tempfile.TemporaryDirectory() as folder:
            model, data = f"{folder}/model.json", DATA / "diabetes-progression.csv"
            train = [INFERENCE, "train", "--data", data, "--target", "target", "--algorithm", "ridge", "--out", model]
            subprocess.run(train, check=True, stdout=subprocess.DEVNULL)
            server = self.serve("--model", model)
        self.traffic(server, "diabetes-progression.csv", "target", float)
        dom, metrics = server.open(), server.metrics()
        squared = total(metrics, "model_feedback_squared_error_total") / TRUTHS
        self.assertIn(f"RMSE{float(f'{math.sqrt(squared):.3g}'):g} ", dom.texts["truth"])
        rmse = total(metrics, "model_reference_score", score="rmse")
        self.assertIn(f"{float(f'{rmse:.3g}'):g} in training", dom.texts["truth"])
        self.check_drift(dom, metrics)

    def test_names_are_text_whatever_they_say(self):
        with tempfile.TemporaryDirectory() as folder:
            data = f"{folder}/data.csv"
            with open(data, "w", encoding="utf-8", newline="") as file:
                lines = csv.writer(file)
                lines.writerow([HOSTILE, "constructor", "y"])
                lines.writerows([at, at % 7, HOSTILE if at % 2 else "__proto__"] for at in range(60))
            model = f"{folder}/model.json"
            train = [INFERENCE, "train", "--data", data, "--target", "y", "--algorithm", "knn", "--out", model]
            subprocess.run(train, check=True, stdout=subprocess.DEVNULL)
            server = self.serve("--model", model)
        dom = server.open()
        self.assertEqual(dom.texts["state"], "live")
        self.assertNotIn("img", dom.tags)
        self.assertEqual(set(dom.features), {HOSTILE, "constructor"})
        self.assertEqual({line[0] for line in dom.rows["outcomes"][1:]}, {HOSTILE, "__proto__"})

    def test_without_the_token_it_asks_for_it(self):
        with tempfile.NamedTemporaryFile("w") as token:
            token.write("secret")
            token.flush()
            server = self.serve("--metrics-token", token.name)
            dom = server.open()
            errors = total(server.metrics("secret"), "api_errors_total", error_type="unauthorized")
        self.assertEqual(dom.texts["state"], "no metrics: status 401")
        self.assertEqual(errors, 1)


if __name__ == "__main__":
    unittest.main()
