"""kserve_app.py PORT ADMIN: what KServe's own server for scikit-learn does; $MODEL is the file."""

import os
import sys

import joblib
from kserve import Model, ModelServer
from kserve.utils.utils import get_predict_input, get_predict_response


class Diabetes(Model):
    def load(self) -> bool:
        self.model = joblib.load(os.environ["MODEL"])
        self.ready = True
        return True

    def predict(self, payload, headers=None):
        labels = self.model.predict(get_predict_input(payload))
        return get_predict_response(payload, labels, self.name)


if __name__ == "__main__":
    http, grpc = map(int, sys.argv[1:])
    sys.argv[1:] = []  # KServe reads its own options from there.
    model = Diabetes("diabetes")
    model.load()
    ModelServer(http_port=http, grpc_port=grpc, workers=1).start([model])
