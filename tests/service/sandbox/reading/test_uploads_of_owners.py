"""Files as their owners have them: each is read without an option, or with the one that its owner would set."""

from __future__ import annotations

import gzip
import io
import zipfile

import numpy as np

from tests.service.sandbox.reading.files import cells_of, read, types_of


def rows(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def test_question_marks_are_missing_numbers() -> None:
    table = read(rows("size,power,price", *(f"{i % 7},{'?' if i % 9 == 5 else 60 + i},{i / 2}" for i in range(60))))
    power = table.columns[1]
    assert (power.type, cells_of(power)[:6]) == ("number", [60, 61, 62, 63, 64, None])
    assert power.notes == ("Read as missing: '?' (7 rows).",)


def test_months_of_a_series_are_dates() -> None:
    months = [f'"{1 + i // 12}-{1 + i % 12:02}",{300 + i}' for i in range(36)]
    month = read(rows('"Month","Sales"', *months), order="time").columns[0]
    assert month.type == "date"
    np.testing.assert_array_equal(
        month.values.astype("M8[s]").astype("M8[M]"), np.arange("0001-01", "0004-01", dtype="M8[M]")
    )


def test_table_of_texts_without_a_header_is_recognized() -> None:
    table = read(
        rows(*(f"{20 + i}, Private, {'HS' if i % 3 else 'BSc'}, {'<=50K' if i % 2 else '>50K'}" for i in range(40)))
    )
    assert types_of(table) == {"0": "number", "1": "category", "2": "category", "3": "category"}
    assert table.columns[3].levels == ("<=50K", ">50K")
    assert any("header=true" in note for note in table.notes)
    assert table.columns[1].notes == ("Spaces around values were removed.",)


def test_thousands_percent_and_suffixes_are_numbers() -> None:
    lines = [f'"{1 + i % 12:02}/{1 + i % 12:02}/2001","60,{i:03}.5","{i}.5K","-{i}.25%"' for i in range(100)]
    table = read("\ufeff" + rows('"Date","Price","Vol.","Change %"', *lines))
    assert types_of(table) == {"Date": "date", "Price": "number", "Vol.": "number", "Change %": "number"}
    assert [column.values[3] for column in table.columns[1:]] == [60003.5, 3500.0, -3.25]


def test_decimal_commas_are_recognized() -> None:
    table = read(rows("CO;T;y", *(f"{i % 9},{i % 10};{13 + i % 7},6;{i},5" for i in range(120))))
    assert types_of(table) == {"CO": "number", "T": "number", "y": "number"}
    assert cells_of(table.columns[2])[:3] == [0.5, 1.5, 2.5]


def test_repeated_names_are_numbered() -> None:
    table = read(rows("gene,1,call,2,call,y", *(f"{i},{7 * i % 13},A,{5 * i % 11},P,{i % 2}" for i in range(30))))
    assert [column.name for column in table.columns] == ["gene", "1", "call", "2", "call (2)", "y"]
    assert "Repeated names were numbered: 'call (2)'." in table.notes


def test_columns_aligned_by_spaces_are_split() -> None:
    table = read(rows(*(f"  {i / 7:7.5f} {i % 5:5}.00    {i / 3:5.2f}" for i in range(1, 31))))
    assert [column.values[0] for column in table.columns] == [0.14286, 1.0, 0.33]


def test_missing_labels_of_the_target_are_missing() -> None:
    target = read(rows("bill,sex", "22.7,MALE", "5.5,FEMALE", "4.9,", "4.8,FEMALE")).columns[1]
    assert cells_of(target) == ["MALE", "FEMALE", None, "FEMALE"]


def test_long_categories_are_kept_whole() -> None:
    long = "Bathtubs or showers (including fixtures or accessories; excluding enclosures, faucets, spigots and racks)"
    table = read(rows("product,y", *(f'"{"Beds" if i % 2 else long}",{i % 3}' for i in range(40))))
    assert table.columns[0].levels == (long, "Beds")


def test_seconds_since_1970_keep_every_digit() -> None:
    table = read(rows("t,y", *(f"{1743215000 + i},{i / 100}" for i in range(3000))))
    np.testing.assert_array_equal(table.columns[0].values, 1743215000.0 + np.arange(3000))


def test_chinese_text_is_decoded() -> None:
    text = rows(
        "色泽,密度,好瓜", *(f"{'乌黑' if i % 2 else '青绿'},0.{100 + i},{'是' if i % 3 else '否'}" for i in range(30))
    )
    table = read(text.encode("gbk"))
    assert types_of(table) == {"色泽": "category", "密度": "number", "好瓜": "category"}
    assert table.columns[2].levels == ("否", "是")
    assert any("detected as gb18030" in note for note in table.notes)


def test_gzip_and_zip_are_unpacked() -> None:
    text = rows("a,b,y", *(f"{i / 7},{i / 3},{i % 2}" for i in range(30))).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("table.csv", text)
        archive.writestr("README.txt", "About the table.")
    expected = [column.values.tolist() for column in read(text).columns]
    for content in (gzip.compress(text), packed.getvalue()):
        assert [column.values.tolist() for column in read(content).columns] == expected


def test_empty_cells_of_numbers_and_texts_are_missing() -> None:
    table = read(rows("age,port,y", ",C,0", "21,,1", "22,S,0", "23,S,1"))
    assert [cells_of(column) for column in table.columns[:2]] == [[None, 21, 22, 23], ["C", None, "S", "S"]]


def test_yes_and_no_are_booleans_but_in_a_target() -> None:
    text = rows("age,alive,survived", *(f"{20 + i},{'yes' if i % 2 else 'no'},{i % 2}" for i in range(60)))
    assert read(text).columns[1].levels == ("false", "true")
    assert read(text, target="alive").columns[1].levels == ("no", "yes")
