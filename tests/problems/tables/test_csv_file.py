"""Tables from files, and what files are no tables, with the line and the column."""

from pathlib import Path

import pytest
import torch

from problems.tables.columns import Category, Column, Number
from problems.tables.csv_file import read_rows, read_table
from problems.tables.describe import describe, main
from quantlab.errors import DataError, UsageError

PRICE = Number(name="price", mean=10.0, std=4.0)
REGION = Category(name="region", values=("north", "south"))
SOLD = Number(name="sold", mean=0.0, std=1.0)
HEADER = "region, price,sold,note\n"


def write(folder: Path, *lines: str, header: str = HEADER) -> Path:
    file = folder / "table.csv"
    file.write_text(header + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


def test_rows_in_the_order_of_the_columns(tmp_path: Path) -> None:
    file = write(tmp_path, 'south, 7.5 ,1,"a, b"', "", "north,,2,")
    assert read_rows(file, (PRICE, REGION)).tolist() == [[7.5, 0.0, 1.0], [10.0, 1.0, 0.0]]
    assert read_rows(file, (PRICE,)).dtype == torch.float64
    file.write_bytes(b"\xef\xbb\xbfprice\n0.1\n")  # with the mark that spreadsheets write
    assert read_rows(file, (PRICE,)).tolist() == [[0.1]]


def test_every_row_trains_or_tests(tmp_path: Path) -> None:
    file = write(tmp_path, *(f"north,{number},{number},x" for number in range(20)))
    data = read_table(file, (PRICE,), SOLD, test_fraction=0.25)
    assert (len(data.train), len(data.test)) == (15, 5)
    prices = torch.cat([data.train.inputs, data.test.inputs]).flatten()
    assert sorted(prices.tolist()) == list(range(20))
    assert torch.equal(data.test.inputs[:, 0].float(), data.test.targets)
    assert data.train.targets.dtype == torch.float32
    assert data.train.classes == ()
    again = read_table(file, (PRICE,), SOLD, test_fraction=0.25)
    assert torch.equal(again.test.targets, data.test.targets)
    other = read_table(file, (PRICE,), SOLD, test_fraction=0.25, split_seed=1)
    assert not torch.equal(other.test.targets, data.test.targets)


def test_a_category_as_the_target_has_classes(tmp_path: Path) -> None:
    file = write(tmp_path, *(f"{REGION.values[n % 2]},{n % 2},0,x" for n in range(10)))
    data = read_table(file, (PRICE,), REGION)
    assert data.train.classes == REGION.values
    assert data.train.targets.dtype == torch.int64
    assert torch.equal(data.train.inputs[:, 0].long(), data.train.targets)


def test_other_delimiters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, "1;2", "3;4", header="price;sold\n")
    assert len(read_table(file, (PRICE,), SOLD, delimiter=";").train) == 1
    assert read_rows(file, (PRICE,), delimiter=";").tolist() == [[1.0], [3.0]]
    found = ["Number(name='price', mean=2, std=1),", "Number(name='sold', mean=3, std=1),"]
    assert list(describe(file, delimiter=";")) == found
    assert main([str(file), ";"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"    {line}" for line in found]
    for wrong in ("", ";;"):
        with pytest.raises(UsageError, match=f"delimiter: '{wrong}' given; one character allowed"):
            read_rows(file, (PRICE,), delimiter=wrong)


def test_the_target_is_no_feature(tmp_path: Path) -> None:
    file = write(tmp_path, "north,1,2,x", "north,3,4,x")
    with pytest.raises(UsageError, match="column 'sold': the target given as a feature too"):
        read_table(file, (PRICE, SOLD), SOLD)


def test_too_few_rows_for_the_fraction(tmp_path: Path) -> None:
    file = write(tmp_path, *["north,1,2,x"] * 3)
    with pytest.raises(DataError, match=r"3 rows; test_fraction 0\.9 leaves none to train"):
        read_table(file, (PRICE,), SOLD, test_fraction=0.9)
    with pytest.raises(DataError, match=r"table\.csv: no rows below a header"):
        read_rows(write(tmp_path), (PRICE,))


def test_only_what_can_be_read_is_described(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"table\.csv:3: 3 cells; the header has 2"):
        list(describe(write(tmp_path, "1,2", "3,4,5", header="a,b\n")))
    twice = write(tmp_path, "1,2,5", "3,4,6", header="a,b,a\n")
    assert list(describe(twice)) == [
        "# 'a': 2 columns of this name",
        "Number(name='b', mean=3, std=1),",
        "# 'a': 2 columns of this name",
    ]


@pytest.mark.parametrize(
    ("lines", "target", "words"),
    [
        (["north,1,2,x", "nord,1,2,x"], SOLD, "table.csv:3: column 'region': 'nord' given; allo"),
        (["north,cheap,2,x"], SOLD, "table.csv:2: column 'price': 'cheap' given, a finite"),
        (["north,1,2,x", "north,1,,x"], SOLD, "table.csv:3: column 'sold': '' given, a finite"),
        (["north,1,2,x", ",1,2,x"], REGION, "table.csv:3: column 'region': '' given; allowed"),
        (["north,1,2"], SOLD, "table.csv:2: 3 cells; the header has 4"),
        (["north,1,2,x"], SOLD, "table.csv: 1 rows; at least 2 needed, to train and to test"),
        ([], SOLD, "table.csv: 0 rows; at least 2 needed"),
        (['north,1,2,"x'], SOLD, "table.csv: cannot be read as CSV in UTF-8"),
        (["north,1,2,x"], Number(name="solt", mean=0, std=1), "0 columns named 'solt', 1 needed"),
        (["north,1,2,x"], Number(name="solt", mean=0, std=1), "did you mean 'sold'?"),
    ],
)
def test_one_line_for_what_is_wrong(
    tmp_path: Path, lines: list[str], target: Column, words: str
) -> None:
    columns = [column for column in (PRICE, REGION) if column is not target]
    with pytest.raises(DataError) as caught:
        read_table(write(tmp_path, *lines), columns, target)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"table\.csv: missing; put the table there"):
        read_rows(tmp_path / "table.csv", (PRICE,))
    with pytest.raises(DataError, match="cannot be read as CSV"):
        read_rows(tmp_path, (PRICE,))
    file = tmp_path / "table.csv"
    file.write_bytes("prix,été\n1,2".encode("latin-1"))
    with pytest.raises(DataError, match="cannot be read as CSV in UTF-8"):
        read_rows(file, (PRICE,))
    file.write_bytes(b"")
    with pytest.raises(DataError, match="the header has nothing"):
        read_rows(file, (PRICE,))
    with pytest.raises(DataError, match="2 columns named 'price', 1 needed"):
        read_rows(write(tmp_path, header="price,price\n"), (PRICE,))
    with pytest.raises(UsageError, match=r"test_fraction: 1\.0 given; above 0 and below 1"):
        read_table(file, (PRICE,), SOLD, test_fraction=1.0)


def test_what_is_described_can_be_pasted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"{'north' if n % 2 else 'south'},{n},{n / 2},text {n}" for n in range(60)]
    file = write(tmp_path, *lines, ",,1,")
    found = list(describe(file))
    price = eval(found[1].rstrip(","), {"Number": Number})
    assert (price.name, price.mean) == ("price", 29.5)
    assert price.std == pytest.approx(17.3181, rel=1e-5)
    assert eval(found[0].rstrip(","), {"Category": Category}) == REGION
    assert found[3] == "# 'note': 60 different texts"
    assert main([str(file)]) == 0
    assert capsys.readouterr().out.splitlines() == [f"    {line}" for line in found]
    assert main([]) == 2
    assert capsys.readouterr().err == (
        "describe: 0 arguments given; FILE or FILE DELIMITER allowed\n"
    )
    assert main([str(tmp_path / "gone.csv")]) == 3
    assert "gone.csv: missing; put the table there" in capsys.readouterr().err
    with pytest.raises(DataError, match="no rows below a header"):
        list(describe(write(tmp_path)))
    assert list(describe(write(tmp_path, "4", "4", header="x\n"))) == [
        "# 'x': no two different finite numbers"
    ]
