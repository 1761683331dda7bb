"""A client made by openapi-python-client from openapi.yaml, against a running server.

    python tests/sdk/client.py URL FOLDER-OF-THE-GENERATED-CLIENT PICTURE BROKEN-PICTURE

Predicts one picture and several, reads an error, lists the models and changes one; fails where anything is not as it should be.
"""

import io
import pathlib
import sys

url, folder, picture, broken = sys.argv[1:]
sys.path.insert(0, folder)

from client import Client
from client.api.admin import promote_version
from client.api.health import readyz
from client.api.models import list_models, predict
from client.models import FormPrediction, PictureForm, Prediction, Problem
from client.types import File

client = Client(base_url=url)
ready = readyz.sync(client=client)
assert ready.status == "ready", ready

models = list_models.sync(client=client)
assert [model.name for model in models.models] == ["colours"], models
assert models.models[0].versions[0].state == "ready", models


def file(path):
    return File(payload=io.BytesIO(pathlib.Path(path).read_bytes()), file_name=path, mime_type="image/png")


one = predict.sync("colours", client=client, body=file(picture), all_=True)
assert isinstance(one, Prediction), one
assert [label.label for label in one.labels] == ["red", "green", "blue"], one.labels
assert one.labels[0].score > 0.9 and one.picture.width == 4, one

several = predict.sync("colours", client=client, body=PictureForm(picture=[file(picture), file(broken)]))
assert isinstance(several, FormPrediction), several
assert several.results[0].labels[0].label == "red", several
assert several.results[1].error.status == 415, several

problem = predict.sync("nothing", client=client, body=file(picture))
assert isinstance(problem, Problem) and problem.status == 404, problem
assert problem.type_ == "urn:tagpoint:problem:unknown-model" and "nothing" in problem.detail, problem

changed = promote_version.sync("colours", "1", client=client)
assert changed.model.name == "colours" and changed.model.version == "1", changed
print("ok")
