import json

from tqhw.spec import DataSpaceStats, Invalid, LevelStats, Reason, Stats

DATA_SPACE = DataSpaceStats(tile_words=4, utilized_instances=2, reads=6, fills=4, updates=0, energy_pj=1.5)
STATS = Stats(
    cycles=12,
    computes=24,
    utilization=0.5,
    energy_pj=3.0,
    levels={"buffer": LevelStats("storage", 2, 1.5, 0.25, 12, 2, {"Weights": DATA_SPACE})},
)


def test_the_json_of_valid_statistics_is_the_contract() -> None:
    document = json.loads(json.dumps(STATS.as_json()))
    assert document["valid"] is True
    assert {k: document[k] for k in ("cycles", "computes", "utilization", "energy_pj")} == {
        "cycles": 12,
        "computes": 24,
        "utilization": 0.5,
        "energy_pj": 3.0,
    }
    level = document["levels"]["buffer"]
    assert {k: level[k] for k in ("kind", "instances", "energy_pj", "leakage_pj")} == {
        "kind": "storage",
        "instances": 2,
        "energy_pj": 1.5,
        "leakage_pj": 0.25,
    }
    assert level["dataspaces"]["Weights"] == {
        "tile_words": 4,
        "utilized_instances": 2,
        "reads": 6,
        "fills": 4,
        "updates": 0,
        "energy_pj": 1.5,
    }


def test_the_json_of_an_invalid_mapping_is_the_contract() -> None:
    reason = Reason("buffer", "capacity", demand=20, bound=16, message="20 words do not fit 16")
    assert json.loads(json.dumps(Invalid((reason,)).as_json())) == {
        "valid": False,
        "reasons": [
            {
                "level": "buffer",
                "rule": "capacity",
                "demand": 20,
                "bound": 16,
                "message": "20 words do not fit 16",
            }
        ],
    }
