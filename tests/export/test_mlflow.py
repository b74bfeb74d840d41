"""What the guide shows of mlflow, run as it stands there."""

import re
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "user_guide" / "serving.md"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # mlflow's own, of what it is made of
def test_a_table_pipeline_goes_through_mlflow_as_the_guide_says(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="mlflow comes with the extra test-long")
    monkeypatch.chdir(tmp_path)
    section = re.search(r"\n## mlflow\n(.*?)\n## ", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    names = {}
    for block in re.findall(r"```py\n(.*?)```", section, re.DOTALL):
        exec(block, names)
    model, houses = names["model"], names["houses"]
    np.testing.assert_array_equal(names["again"].predict(houses), model.predict(houses))
    np.testing.assert_array_equal(names["served"].predict(houses), model.predict(houses))
    inputs = {own.name: str(own) for own in names["info"].signature.inputs}
    assert list(inputs) == ["size", "city"]
    assert "optional" in inputs["size"]
    with pytest.raises(mlflow.exceptions.MlflowException, match="untrusted types"):
        mlflow.sklearn.save_model(model, "untrusted", pip_requirements=[])
