"""Asks a running tagpoint that remembers every answer by both unmodified clients: remembered.py HOST:PORT"""

import json
import queue
import sys
import urllib.request

import numpy as np
import tritonclient.grpc
import tritonclient.http
from common import check, files, pictures, run

ADDRESS = sys.argv[1]
HTTP = tritonclient.http.InferenceServerClient(ADDRESS)
GRPC = tritonclient.grpc.InferenceServerClient(ADDRESS)


def tensor(array, module):
    given = module.InferInput("image", list(array.shape), "BYTES" if array.dtype == np.object_ else "UINT8")
    given.set_data_from_numpy(array)
    return given


def corrected(ids, count):
    """The ids are so many different ones, and each is that of a prediction that takes a correction."""
    ids = ids.split(",")
    assert len(set(ids)) == len(ids) == count, ids
    for each in ids:
        request = urllib.request.Request(f"http://{ADDRESS}/v1/predictions/{each}/feedback", data=b'{"labels": ["red"]}')
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request) as response:
            assert json.load(response)["model"] == "colours"


@check
def over_http_a_parameter_names_each_pictures_prediction():
    for array in (pictures(1), pictures(3), files(pictures(2))):
        for binary in (True, False):
            wanted = [tritonclient.http.InferRequestedOutput("scores", binary_data=binary)]
            answer = HTTP.infer("colours", [tensor(array, tritonclient.http)], outputs=wanted)
            corrected(answer.get_response()["parameters"]["prediction_id"], len(array))
            assert answer.as_numpy("scores").shape == (len(array), 3)


@check
def over_grpc_a_parameter_names_each_pictures_prediction():
    for array in (pictures(1), pictures(3), files(pictures(2))):
        answer = GRPC.infer("colours", [tensor(array, tritonclient.grpc)])
        corrected(answer.get_response().parameters["prediction_id"].string_param, len(array))


@check
def in_a_stream_too():
    answers = queue.Queue()
    client = tritonclient.grpc.InferenceServerClient(ADDRESS)
    client.start_stream(lambda result, error: answers.put((result, error)))
    client.async_stream_infer("colours", [tensor(pictures(2), tritonclient.grpc)])
    result, error = answers.get(timeout=30)
    client.stop_stream()
    assert error is None, error
    corrected(result.get_response().parameters["prediction_id"].string_param, 2)


run()
