"""A scikit-learn model behind FastAPI, as tutorials write it; $MODEL is the file of the model."""

import os

import joblib
import numpy as np
from fastapi import FastAPI
from prometheus_fastapi_instrumentator import Instrumentator
from pydantic import BaseModel


class Patient(BaseModel):
    Pregnancies: float
    Glucose: float
    BloodPressure: float
    SkinThickness: float
    Insulin: float
    BMI: float
    DiabetesPedigreeFunction: float
    Age: float


class Prediction(BaseModel):
    outcome: int
    probabilities: dict[str, float]


model = joblib.load(os.environ["MODEL"])
app = FastAPI()
Instrumentator().instrument(app).expose(app)


@app.post("/predict")
def predict(patient: Patient) -> Prediction:
    row = np.array([list(patient.model_dump().values())])
    healthy, ill = model.predict_proba(row)[0]
    return Prediction(outcome=int(ill > 0.5), probabilities={"0": healthy, "1": ill})
