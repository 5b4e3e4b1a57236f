import main
from tests.lab import TOY_RUN, Lab
def test_x(lab: Lab, capsys) -> None:
    assert main.main([*TOY_RUN]) == 0
    out = capsys.readouterr()
    print(out.out, out.err)
    print(lab.record(), lab.rows())
    r = lab.run(*TOY_RUN)
    print(r)
    assert lab.record(0)["weights_sha256"] == lab.record(1)["weights_sha256"]
