"""Asks a running tagpoint by the unmodified tritonclient.grpc: over_grpc.py HOST:PORT"""

import queue
import sys

import numpy as np
import tritonclient.grpc as triton
import tritonclient.http
from common import LABELS, SIDE, check, close, files, pictures, refused, run, scores
from tritonclient.grpc import service_pb2
from tritonclient.utils import np_to_triton_dtype

ADDRESS = sys.argv[1]
CLIENT = triton.InferenceServerClient(ADDRESS)
INVALID, NOT_FOUND = "StatusCode.INVALID_ARGUMENT", "StatusCode.NOT_FOUND"
UNIMPLEMENTED, UNAVAILABLE = "StatusCode.UNIMPLEMENTED", "StatusCode.UNAVAILABLE"


def tensor(array, module=triton, name="image"):
    kind = "BYTES" if array.dtype == np.object_ else np_to_triton_dtype(array.dtype)
    given = module.InferInput(name, list(array.shape), kind)
    given.set_data_from_numpy(array)
    return given


def infer(array, model="colours", **more):
    return CLIENT.infer(model, [tensor(array)], **more)


def typed(contents, datatype="UINT8", shape=(1, SIDE, SIDE, 3)):
    """A request whose elements are numbers of the message, not raw bytes."""
    request = service_pb2.ModelInferRequest(model_name="colours", model_version="1")
    given = request.inputs.add(name="image", datatype=datatype, shape=shape)
    for field, elements in contents.items():
        getattr(given.contents, field).extend(elements)
    return request


@check
def the_server_and_its_models_are_live_and_ready():
    assert CLIENT.is_server_live() and CLIENT.is_model_ready("colours") and CLIENT.is_model_ready("colours", "1")
    assert not CLIENT.is_server_ready()
    assert not CLIENT.is_model_ready("refused") and not CLIENT.is_model_ready("nothing")
    assert not CLIENT.is_model_ready("colours", "9")


@check
def metadata_and_configuration_are_those_of_http():
    over_http = tritonclient.http.InferenceServerClient(ADDRESS)
    server = CLIENT.get_server_metadata(as_json=True)
    assert server == over_http.get_server_metadata(), server
    model = CLIENT.get_model_metadata("colours", as_json=True)
    assert model["versions"] == ["1", "2"] and model["platform"] == "onnxruntime_onnx", model
    assert model["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": ["-1", "8", "8", "3"]}], model
    config = CLIENT.get_model_config("colours").config
    expected = over_http.get_model_config("colours")
    assert config.max_batch_size == expected["max_batch_size"] == 4
    assert list(config.input[0].dims) == expected["input"][0]["dims"]
    assert config.output[0].data_type == 11 and expected["output"][0]["data_type"] == "TYPE_FP32"


@check
def pixels_and_encoded_pictures_give_the_numbers_of_http():
    over_http = tritonclient.http.InferenceServerClient(ADDRESS)
    pixels = pictures(4, seed=1)
    found = infer(pixels, model_version="1").as_numpy("scores")
    close(found, scores(pixels))
    for array in (pixels, files(pixels), files(pixels).reshape(-1, 1)):
        there = over_http.infer("colours", [tensor(array, tritonclient.http)], model_version="1").as_numpy("scores")
        np.testing.assert_array_equal(there, found)
        np.testing.assert_array_equal(infer(array, model_version="1").as_numpy("scores"), found)


@check
def numbers_of_the_message_are_taken_like_raw_bytes():
    pixels = pictures(1, seed=5)
    expected = infer(pixels, model_version="1").as_numpy("scores")
    requests = [
        typed({"uint_contents": pixels.flatten().tolist()}),
        typed({"bytes_contents": list(files(pixels))}, "BYTES", [1]),
    ]
    for request in requests:
        response = CLIENT._client_stub.ModelInfer(request)
        found = np.frombuffer(response.raw_output_contents[0], dtype=np.float32)
        np.testing.assert_array_equal(found.reshape(1, 3), expected)


@check
def versions_ids_and_classes_come_back():
    pixels = pictures(1, seed=2)
    for version, bias, answered in [("1", -4, "1"), ("2", -2, "2"), ("", -2, "2")]:
        result = infer(pixels, model_version=version, request_id="my-7")
        close(result.as_numpy("scores"), scores(pixels, bias))
        response = result.get_response()
        assert (response.model_version, response.id) == (answered, "my-7"), response
        # Nothing is remembered here, so nothing is named.
        assert not response.parameters, response
    (best,) = infer(pixels, outputs=[triton.InferRequestedOutput("scores", class_count=1)]).as_numpy("scores")[0]
    value, index, label = best.decode().split(":")
    numbers = infer(pixels).as_numpy("scores")[0]
    assert (np.float32(value), int(index), label) == (numbers.max(), numbers.argmax(), LABELS[numbers.argmax()]), best


@check
def points_come_in_pixels_of_the_original():
    picture = np.full((16, 24, 3), (255, 127, 0), dtype=np.uint8)
    wanted = [triton.InferRequestedOutput(name) for name in ("points", "points_px")]
    result = infer(files([picture]), "points", outputs=wanted)
    points, pixels = result.as_numpy("points"), result.as_numpy("points_px")
    np.testing.assert_allclose(pixels[0], (points[0] + 1) / 2 * 16 + [4, 0], atol=1e-4)


@check
def messages_may_be_compressed():
    pixels = pictures(4, seed=4)
    expected = infer(pixels).as_numpy("scores")
    found = infer(pixels, compression_algorithm="gzip").as_numpy("scores")
    np.testing.assert_array_equal(found, expected)


@check
def a_stream_answers_each_request_in_turn_and_an_error_ends_nothing_else():
    answers = queue.Queue()
    client = triton.InferenceServerClient(ADDRESS)
    client.start_stream(lambda result, error: answers.put((result, error)))
    pixels = pictures(2, seed=6)
    client.async_stream_infer("colours", [tensor(pixels)], request_id="1", model_version="1")
    client.async_stream_infer("nothing", [tensor(pixels)], request_id="2")
    client.async_stream_infer("colours", [tensor(files(pixels))], request_id="3", model_version="1")
    (first, none), (_, error), (third, also_none) = (answers.get(timeout=30) for _ in range(3))
    client.stop_stream()
    assert none is None and also_none is None, (none, also_none)
    assert "Request for unknown model" in error.message(), error
    assert [result.get_response().id for result in (first, third)] == ["1", "3"]
    for result in (first, third):
        close(result.as_numpy("scores"), scores(pixels))


@check
def priority_and_time_are_taken():
    for priority in (1, 2, 3):
        infer(pictures(1), priority=priority, timeout=30_000_000, client_timeout=30)
    refused(INVALID, "priority 4", lambda: infer(pictures(1), priority=4))
    slow = np.zeros((4, 64, 64, 3), np.uint8)
    refused("StatusCode.DEADLINE_EXCEEDED", "slow", lambda: infer(slow, "slow", timeout=1))


@check
def statistics_add_up():
    def of(version):
        (found,) = CLIENT.get_inference_statistics("colours", version).model_stats
        return found

    before = of("1")
    infer(pictures(3), model_version="1")
    after = of("1")
    assert after.inference_count - before.inference_count == 3, after
    assert after.inference_stats.success.count == after.inference_count, after
    assert len(CLIENT.get_inference_statistics().model_stats) >= 3


@check
def models_are_listed_unloaded_and_loaded():
    index = {(each.name, each.version): each for each in CLIENT.get_model_repository_index().models}
    assert index["colours", "2"].state == "READY" and index["refused", "1"].state == "UNAVAILABLE", index
    CLIENT.unload_model("best")
    assert not CLIENT.is_model_ready("best")
    refused(NOT_FOUND, "unknown model", lambda: infer(pictures(1), "best"))
    CLIENT.load_model("best")
    assert CLIENT.is_model_ready("best")
    refused(INVALID, "refused", lambda: CLIENT.load_model("refused"))
    refused(UNIMPLEMENTED, "files", lambda: CLIENT.load_model("best", config="{}"))
    refused(NOT_FOUND, "unknown model", lambda: CLIENT.load_model("nothing"))


@check
def what_is_wrong_is_said_with_its_place():
    pixels = pictures(2)
    unknown = "Request for unknown model"
    refused(NOT_FOUND, unknown, lambda: infer(pixels, "nothing"))
    refused(NOT_FOUND, unknown, lambda: infer(pixels, model_version="9"))
    refused(NOT_FOUND, unknown, lambda: CLIENT.get_model_metadata("nothing"))
    refused(NOT_FOUND, unknown, lambda: CLIENT.get_model_config("nothing"))
    refused(NOT_FOUND, unknown, lambda: CLIENT.get_inference_statistics("nothing"))
    refused(UNAVAILABLE, "refused", lambda: infer(pixels, "refused"))
    refused(INVALID, "there is no input", lambda: CLIENT.infer("colours", [tensor(pixels, name="pixels")]))
    refused(INVALID, "[N, 8, 8, 3]", lambda: infer(pixels[:, :4]))
    refused(INVALID, "not FP32", lambda: infer(pixels.astype(np.float32)))
    refused(INVALID, "5 pictures", lambda: infer(pictures(5)))
    broken = np.array([*files(pixels), b"text"], dtype=np.object_)
    refused(INVALID, "picture 2: ", lambda: infer(broken))
    outputs = [triton.InferRequestedOutput("points")]
    refused(INVALID, "no output", lambda: infer(pixels, outputs=outputs))
    large = np.zeros((4, 400, 400, 3), np.uint8)
    refused("StatusCode.OUT_OF_RANGE", "limit", lambda: infer(large))
    refused("StatusCode.RESOURCE_EXHAUSTED", "limit", lambda: infer(large, compression_algorithm="gzip"))


@check
def what_is_not_supported_says_so():
    refused(UNIMPLEMENTED, "", lambda: CLIENT.get_system_shared_memory_status())
    refused(UNIMPLEMENTED, "", lambda: CLIENT.get_trace_settings())
    shared = triton.InferInput("image", [1, SIDE, SIDE, 3], "UINT8")
    shared.set_shared_memory("region", 192)
    refused(UNIMPLEMENTED, "shared memory", lambda: CLIENT.infer("colours", [shared]))


run()
