"""scikit-learn behind FastAPI, as tutorials write it; $MODEL is the file of the model."""

import os

import joblib
import numpy as np
from fastapi import FastAPI
from prometheus_fastapi_instrumentator import Instrumentator
from pydantic import BaseModel


class Question(BaseModel):
    instances: list[list[float]]


class Answer(BaseModel):
    predictions: list[int]


model = joblib.load(os.environ["MODEL"])
app = FastAPI()
Instrumentator().instrument(app).expose(app)


@app.post("/predict")
def predict(question: Question) -> Answer:
    return Answer(predictions=model.predict(np.array(question.instances)).tolist())
