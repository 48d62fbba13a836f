"""As fast as FastAPI gets: onnxruntime on one thread, JSON by orjson, nothing checked."""

import os

import numpy as np
import onnxruntime
import orjson
from fastapi import FastAPI, Request, Response
from prometheus_fastapi_instrumentator import Instrumentator

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options)
rows, labels = session.get_inputs()[0].name, session.get_outputs()[0].name
app = FastAPI()
Instrumentator().instrument(app).expose(app)


@app.post("/predict")
async def predict(request: Request) -> Response:
    instances = np.array(orjson.loads(await request.body())["instances"], dtype=np.float32)
    predictions = session.run([labels], {rows: instances})[0].tolist()
    return Response(orjson.dumps({"predictions": predictions}), media_type="application/json")
