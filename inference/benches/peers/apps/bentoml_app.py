"""scikit-learn behind BentoML; $MODEL is the file of the model."""

import os

import bentoml
import joblib
import numpy as np


@bentoml.service
class Diabetes:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api
    def predict(self, instances: list[list[float]]) -> dict:
        return {"predictions": self.model.predict(np.array(instances)).tolist()}
