"""The same by someone who cares: no hop to a thread, no check of the answer, no access log."""

import os

import joblib
import numpy as np
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from prometheus_fastapi_instrumentator import Instrumentator
from pydantic import BaseModel


class Question(BaseModel):
    instances: list[list[float]]


model = joblib.load(os.environ["MODEL"])
app = FastAPI()
Instrumentator().instrument(app).expose(app)


@app.post("/predict")
async def predict(question: Question) -> JSONResponse:
    labels = model.predict(np.array(question.instances))
    return JSONResponse({"predictions": labels.tolist()})
