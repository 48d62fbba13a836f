"""train.py DATA.csv MODEL.joblib: scikit-learn's logistic regression, as tutorials fit it."""

import sys

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression

data, model = sys.argv[1:]
table = np.loadtxt(data, delimiter=",", skiprows=1)
joblib.dump(LogisticRegression(max_iter=1000).fit(table[:, :-1], table[:, -1]), model)
