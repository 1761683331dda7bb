"""Asks a running tagpoint by the unmodified tritonclient.http: over_http.py HOST:PORT"""

import json
import sys
import urllib.request

import numpy as np
import tritonclient.http as triton
from common import LABELS, SIDE, check, close, files, pictures, refused, run, scores

ADDRESS = sys.argv[1]
CLIENT = triton.InferenceServerClient(ADDRESS)


def tensor(array, binary=True, name="image"):
    kind = "BYTES" if array.dtype == np.object_ else triton._infer_input.np_to_triton_dtype(array.dtype)
    given = triton.InferInput(name, list(array.shape), kind)
    given.set_data_from_numpy(array, binary_data=binary)
    return given


def infer(array, model="colours", binary=True, outputs=None, **more):
    return CLIENT.infer(model, [tensor(array, binary)], outputs=outputs, **more)


def by_v1(model, picture, query="all=true"):
    request = urllib.request.Request(f"http://{ADDRESS}/v1/models/{model}/predict?{query}", data=picture)
    request.add_header("content-type", "image/png")
    with urllib.request.urlopen(request) as response:
        return json.load(response)


@check
def the_server_and_its_models_are_live_and_ready():
    assert CLIENT.is_server_live() and CLIENT.is_model_ready("colours") and CLIENT.is_model_ready("colours", "1")
    # One model of the repository is refused.
    assert not CLIENT.is_server_ready()
    assert not CLIENT.is_model_ready("refused") and not CLIENT.is_model_ready("nothing")
    assert not CLIENT.is_model_ready("colours", "9")


@check
def metadata_names_what_is_there():
    server = CLIENT.get_server_metadata()
    assert server["name"] == "tagpoint" and "binary_tensor_data" in server["extensions"], server
    model = CLIENT.get_model_metadata("colours")
    assert model == {
        "name": "colours",
        "versions": ["1", "2"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, SIDE, SIDE, 3]}],
        "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 3]}],
    }, model
    points = CLIENT.get_model_metadata("points", "1")
    assert points["outputs"] == [{"name": "points", "datatype": "FP32", "shape": [-1, 2, 2]}], points


@check
def the_configuration_says_how_much_a_request_may_have():
    config = CLIENT.get_model_config("colours", "2")
    assert config["max_batch_size"] == 4, config
    assert config["input"] == [{"name": "image", "data_type": "TYPE_UINT8", "dims": [SIDE, SIDE, 3]}], config
    assert config["output"] == [{"name": "scores", "data_type": "TYPE_FP32", "dims": [3]}], config
    assert config["dynamic_batching"]["priority_levels"] == 3, config


@check
def pixels_in_binary_and_in_json_give_the_same_numbers():
    pixels = pictures(3)
    binary = infer(pixels, model_version="1").as_numpy("scores")
    close(binary, scores(pixels))
    text = infer(pixels, binary=False, model_version="1").as_numpy("scores")
    np.testing.assert_array_equal(binary, text)
    wanted = [triton.InferRequestedOutput("scores", binary_data=False)]
    text = infer(pixels, binary=False, outputs=wanted, model_version="1")
    assert "data" in text.get_output("scores")
    np.testing.assert_array_equal(binary, text.as_numpy("scores"))


@check
def encoded_pictures_give_the_same_numbers_as_their_pixels_and_as_v1():
    pixels = pictures(4, seed=1)
    expected = infer(pixels, model_version="1").as_numpy("scores")
    row, column = files(pixels), files(pixels).reshape(-1, 1)
    for array in (row, column):
        np.testing.assert_array_equal(infer(array, model_version="1").as_numpy("scores"), expected)
    for picture, numbers in zip(row, expected):
        labels = {label["label"]: label["score"] for label in by_v1("colours/versions/1", picture)["labels"]}
        assert [np.float32(labels[name]) for name in LABELS] == list(numbers), (labels, numbers)


@check
def a_version_answers_for_itself_and_the_newest_without_one():
    pixels = pictures(1, seed=2)
    for version, bias, answered in [("1", -4, "1"), ("2", -2, "2"), ("", -2, "2")]:
        result = infer(pixels, model_version=version)
        close(result.as_numpy("scores"), scores(pixels, bias))
        response = result.get_response()
        assert (response["model_name"], response["model_version"]) == ("colours", answered), response


@check
def the_request_id_comes_back_only_where_there_was_one():
    assert infer(pictures(1), request_id="my-7").get_response()["id"] == "my-7"
    assert "id" not in infer(pictures(1)).get_response()


@check
def nothing_is_named_where_nothing_is_remembered():
    assert "parameters" not in infer(pictures(1)).get_response()


@check
def classification_gives_the_best_labels_with_value_and_index():
    pixels = pictures(2, seed=3)
    expected = infer(pixels, model_version="1").as_numpy("scores")
    for binary in (True, False):
        for count in (1, 2, 9):
            wanted = [triton.InferRequestedOutput("scores", binary_data=binary, class_count=count)]
            found = infer(pixels, outputs=wanted, model_version="1").as_numpy("scores")
            assert found.shape == (2, min(count, 3)), found
            for row, numbers in zip(found, expected):
                order = np.argsort(-numbers, kind="stable")[: min(count, 3)]
                for entry, index in zip(row, order):
                    text = entry.decode() if isinstance(entry, bytes) else entry
                    value, place, label = text.split(":")
                    assert np.float32(value) == numbers[index], (text, numbers)
                    assert (int(place), label) == (index, LABELS[index]), text


@check
def points_come_in_the_models_frame_and_in_pixels_of_the_original():
    # A plain picture of 24 x 16, of which the model sees the middle 16 x 16.
    picture = np.zeros((16, 24, 3), dtype=np.uint8)
    picture[:] = (255, 127, 0)
    encoded = files([picture])
    wanted = [triton.InferRequestedOutput("points"), triton.InferRequestedOutput("points_px", binary_data=False)]
    result = infer(encoded, "points", outputs=wanted)
    points, pixels = result.as_numpy("points"), result.as_numpy("points_px")
    assert points.shape == pixels.shape == (1, 2, 2)
    np.testing.assert_allclose(points[0], [[1, 127 / 127.5 - 1], [-1, 1]], atol=1e-6)
    np.testing.assert_allclose(pixels[0], (points[0] + 1) / 2 * 16 + [4, 0], atol=1e-4)
    named = by_v1("points", encoded[0], "")["points"]
    assert [[np.float32(p["x"]), np.float32(p["y"])] for p in named] == pixels[0].tolist(), named


@check
def bodies_may_be_compressed_both_ways():
    pixels = pictures(4, seed=4)
    expected = infer(pixels).as_numpy("scores")
    for there in (None, "gzip", "deflate"):
        for back in (None, "gzip", "deflate"):
            for binary in (True, False):
                result = infer(
                    pixels,
                    binary=binary,
                    request_compression_algorithm=there,
                    response_compression_algorithm=back,
                )
                np.testing.assert_array_equal(result.as_numpy("scores"), expected)


@check
def priority_and_time_are_taken():
    for priority in (1, 2, 3):
        infer(pictures(1), priority=priority, timeout=30_000_000)
    refused("400", "priority 4", lambda: infer(pictures(1), priority=4))
    refused("504", "slow", lambda: infer(np.zeros((4, 64, 64, 3), np.uint8), "slow", timeout=1))


@check
def statistics_add_up():
    def of(version):
        (found,) = CLIENT.get_inference_statistics("colours", version)["model_stats"]
        return found

    before = of("1")
    infer(pictures(3), model_version="1")
    refused("400", "picture 0", lambda: infer(np.array([b"text"], np.object_), model_version="1"))
    after = of("1")
    assert after["inference_count"] - before["inference_count"] == 3, after
    assert after["execution_count"] > before["execution_count"] and after["last_inference"] > 1e12, after
    stats = after["inference_stats"]
    assert stats["success"]["count"] == after["inference_count"] and stats["compute_infer"]["ns"] > 0, stats
    assert stats["fail"]["count"] == before["inference_stats"]["fail"]["count"] + 1, stats
    batches = sum(batch["batch_size"] * batch["compute_infer"]["count"] for batch in after["batch_stats"])
    assert batches == after["inference_count"], after
    names = {(each["name"], each["version"]) for each in CLIENT.get_inference_statistics()["model_stats"]}
    assert {("colours", "1"), ("colours", "2"), ("points", "1")} <= names, names


@check
def models_are_listed_unloaded_and_loaded():
    index = {(each["name"], each["version"]): each for each in CLIENT.get_model_repository_index()}
    assert index["colours", "2"]["state"] == "READY"
    assert index["refused", "1"]["state"] == "UNAVAILABLE" and index["refused", "1"]["reason"], index
    CLIENT.unload_model("best")
    assert not CLIENT.is_model_ready("best")
    refused("404", "unknown model", lambda: infer(pictures(1), "best"))
    CLIENT.load_model("best")
    close(infer(pictures(1), "best").as_numpy("scores").sum(axis=1), [1])
    refused("400", "refused", lambda: CLIENT.load_model("refused"))
    refused("501", "files", lambda: CLIENT.load_model("best", config="{}"))
    refused("404", "unknown model", lambda: CLIENT.load_model("nothing"))
    refused("404", "unknown model", lambda: CLIENT.unload_model("nothing"))


@check
def what_is_wrong_is_said_with_its_place():
    pixels = pictures(2)
    unknown = "Request for unknown model"
    refused("404", unknown, lambda: infer(pixels, "nothing"))
    refused("404", unknown, lambda: infer(pixels, model_version="9"))
    refused("404", unknown, lambda: CLIENT.get_model_metadata("nothing"))
    refused("404", unknown, lambda: CLIENT.get_model_config("nothing"))
    refused("404", unknown, lambda: CLIENT.get_inference_statistics("nothing"))
    refused("503", "refused", lambda: infer(pixels, "refused"))
    refused("400", "there is no input \"pixels\"", lambda: CLIENT.infer("colours", [tensor(pixels, name="pixels")]))
    both = [tensor(pixels), tensor(pixels, name="more")]
    refused("400", "one input", lambda: CLIENT.infer("colours", both))
    refused("400", "[N, 8, 8, 3]", lambda: infer(pixels[:, :4]))
    refused("400", "not FP32", lambda: infer(pixels.astype(np.float32)))
    refused("400", "not FP32", lambda: infer(pixels.astype(np.float32), binary=False))
    refused("400", "5 pictures; a request may have 4", lambda: infer(pictures(5)))
    refused("400", "no picture", lambda: infer(pictures(0)))
    encoded = files(pixels)
    broken = np.array([encoded[0], encoded[1][:60]], dtype=np.object_)
    refused("400", "picture 1: ", lambda: infer(broken))
    text = np.array([encoded[0], b"\0\0\0\x18ftypheic\0\0\0\0heicmif1"], dtype=np.object_)
    refused("400", "picture 1: ", lambda: infer(text))
    outputs = lambda *names: [triton.InferRequestedOutput(name) for name in names]
    refused("400", "no output \"points\"", lambda: infer(pixels, outputs=outputs("points")))
    refused("400", "asked for twice", lambda: infer(pixels, outputs=outputs("scores", "scores")))
    refused("400", "encoded pictures", lambda: infer(pixels, "points", outputs=outputs("points_px")))
    classes = [triton.InferRequestedOutput("points", class_count=1)]
    refused("400", "classification", lambda: infer(pixels, "points", outputs=classes))
    refused("413", "larger than", lambda: infer(np.zeros((4, 400, 400, 3), np.uint8)))
    large = np.zeros((4, 400, 400, 3), np.uint8)
    refused("413", "larger than", lambda: infer(large, request_compression_algorithm="gzip"))
    refused("413", "larger than", lambda: infer(large, request_compression_algorithm="deflate"))


@check
def what_is_not_supported_says_so():
    refused("501", "not supported", lambda: CLIENT.get_system_shared_memory_status())
    refused("501", "not supported", lambda: CLIENT.register_system_shared_memory("a", "/a", 8))
    refused("501", "not supported", lambda: CLIENT.get_cuda_shared_memory_status())
    refused("501", "not supported", lambda: CLIENT.unregister_cuda_shared_memory("a"))
    refused("501", "not supported", lambda: CLIENT.get_trace_settings("colours"))
    refused("501", "not supported", lambda: CLIENT.update_log_settings({}))
    shared = triton.InferInput("image", [1, SIDE, SIDE, 3], "UINT8")
    shared.set_shared_memory("region", 192)
    refused("501", "shared memory", lambda: CLIENT.infer("colours", [shared]))
    output = triton.InferRequestedOutput("scores")
    output.set_shared_memory("region", 12)
    refused("501", "shared memory", lambda: infer(pictures(1), outputs=[output]))


run()
