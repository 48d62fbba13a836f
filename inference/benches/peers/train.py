"""train.py DATA.csv FOLDER: scikit-learn's models of the data, and their other forms."""

import json
import sys
from pathlib import Path

import joblib
import numpy as np
import tl2cgen
import treelite
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

data, folder = sys.argv[1], Path(sys.argv[2])
table = np.loadtxt(data, delimiter=",", skiprows=1)
rows, labels = table[:, :-1], table[:, -1].astype(int)
models = {
    "logistic-regression": LogisticRegression(max_iter=5000),
    "random-forest": RandomForestClassifier(n_estimators=100, max_depth=10, random_state=0),
}
for name, model in models.items():
    model.fit(rows, labels)
    joblib.dump(model, folder / f"{name}.joblib")
    onnx = to_onnx(model, rows[:1].astype(np.float32), options={id(model): {"zipmap": False}})
    (folder / f"{name}.onnx").write_bytes(onnx.SerializeToString())
    (folder / f"{name}.labels.json").write_text(json.dumps(model.predict(rows).tolist()))

forest = treelite.sklearn.import_model(models["random-forest"])
library, parallel = folder / "random-forest.so", {"parallel_comp": 2}
tl2cgen.export_lib(forest, toolchain="gcc", libpath=library, params=parallel)
