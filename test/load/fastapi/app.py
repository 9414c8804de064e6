"""The comparison: what a team would write first with FastAPI and scikit-learn, and what it becomes when it is tuned.

python3 app.py train DATA MODEL            trains on labelled rows and keeps the pipeline in MODEL
python3 app.py serve MODEL PORT stock      a def endpoint that calls predict_proba, as in the tutorials
python3 app.py serve MODEL PORT tuned      an async def endpoint, coefficients in Fortran order so that the sparse product need not copy them
"""

import gzip
import json
import sys

import joblib
import numpy
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union


class Inquiry(BaseModel):
    deployment: str
    subject: str = ""
    body: str = ""


class Label(BaseModel):
    label: str
    probability: float


class Answer(BaseModel):
    queue: str
    labels: list[Label]


def train(data, model):
    rows = [json.loads(line) for line in gzip.open(data, "rt", encoding="utf-8")]
    pipeline = make_pipeline(
        make_union(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
        ),
        LogisticRegression(C=4.0, max_iter=20),
    )
    pipeline.fit([r["text"] for r in rows], [r["label"] for r in rows])
    joblib.dump(pipeline, model)


def serve(model, port, variant):
    pipeline = joblib.load(model)
    classifier = pipeline[-1]
    names = [str(c) for c in classifier.classes_]
    app = FastAPI()

    def answer(inquiry):
        p = pipeline.predict_proba([f"{inquiry.subject}\n{inquiry.body}"])[0]
        order = numpy.argsort(-p)
        labels = [Label(label=names[i], probability=float(p[i])) for i in order]
        return Answer(queue=labels[0].label, labels=labels)

    if variant == "tuned":
        classifier.coef_ = numpy.asfortranarray(classifier.coef_)

        @app.post("/route", response_model=Answer)
        async def route(inquiry: Inquiry):
            return answer(inquiry)
    else:

        @app.post("/route", response_model=Answer)
        def route(inquiry: Inquiry):
            return answer(inquiry)

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    if sys.argv[1] == "train":
        train(sys.argv[2], sys.argv[3])
    else:
        serve(sys.argv[2], int(sys.argv[3]), sys.argv[4])
