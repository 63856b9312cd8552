"""Whole files: archives, zero bytes, files that are empty, cut or something else."""

from __future__ import annotations

import gzip
from functools import partial

from damage.folder import Draft, Sheet
from lifemiles_forecasting.core.transactions import BAD_DATE, UNREADABLE

DAMAGED_ARCHIVE = ("broken gzip file data_01.csv.gz", "Copy it again")


def _sound(draft: Draft, name: str = "data_01.csv", number: int = 40) -> Sheet:
    sheet = draft.sheet(name)
    sheet.use_all(draft.sales(number))
    return sheet


def gzip_file(draft: Draft) -> None:
    """A .gz file with damage in a row: read, and the row goes."""
    sheet = draft.sheet(draft.rng.choice(["data_01.csv.gz", "DATA_01.CSV.GZ"]))
    sheet.among(40, partial(sheet.lose, BAD_DATE, day="soon"))
    sheet.save(gzip.compress(sheet.encoded()))


def gzip_of_several_members(draft: Draft) -> None:
    """Archives joined end to end, as `cat a.gz b.gz` makes them: read to the end."""
    sheet = _sound(draft, "data_01.csv.gz")
    content = sheet.encoded()
    cut = draft.rng.randrange(1, len(content))
    sheet.save(gzip.compress(content[:cut]) + gzip.compress(content[cut:]))


def gzip_with_zeros_behind(draft: Draft) -> None:
    """An archive padded with zero bytes, as tapes and block stores do: read."""
    sheet = _sound(draft, "data_01.csv.gz")
    sheet.save(gzip.compress(sheet.encoded()) + bytes(draft.rng.randrange(1, 5000)))


def gzip_cut_short(draft: Draft) -> None:
    """An archive that was not copied to its end: refused."""
    sheet = _sound(draft, "data_01.csv.gz")
    packed = gzip.compress(sheet.encoded())
    sheet.save(packed[: draft.rng.randrange(5, len(packed))])
    draft.error = DAMAGED_ARCHIVE


def gzip_with_a_flipped_bit(draft: Draft) -> None:
    """An archive with one bit changed in its data or checksum: refused."""
    sheet = _sound(draft, "data_01.csv.gz")
    packed = bytearray(gzip.compress(sheet.encoded()))
    spare = len(packed) - 9  # has bits that mean nothing
    place = draft.rng.choice([i for i in range(12, len(packed)) if i != spare])
    packed[place] ^= 1 << draft.rng.randrange(8)
    sheet.save(bytes(packed))
    draft.error = DAMAGED_ARCHIVE


def text_named_gz(draft: Draft) -> None:
    """A plain file whose name ends in .gz: refused."""
    _sound(draft, "data_01.csv.gz").save()
    draft.error = DAMAGED_ARCHIVE


def archive_named_csv(draft: Draft) -> None:
    """A gzip, zip, Excel or Parquet file whose name ends in .csv: refused by what it is."""
    kind, start = draft.rng.choice(
        [("gzip", b"\x1f\x8b\x08"), ("zip or Excel", b"PK\x03\x04"), ("Parquet", b"PAR1")]
    )
    _sound(draft, "data_01.csv").save()
    draft.files["data_02.csv"] = start + draft.rng.randbytes(3000)
    draft.error = ("data_02.csv", kind, "CSV")


def random_bytes(draft: Draft) -> None:
    """A file of random bytes: refused."""
    _sound(draft, "data_01.csv").save()
    draft.files["data_02.csv"] = b"\x00" + draft.rng.randbytes(draft.rng.randrange(1, 9000))
    draft.error = ("data_02.csv",)


def empty_file(draft: Draft) -> None:
    """A file of no bytes, or of nothing but white space: refused."""
    _sound(draft, "data_01.csv").save()
    draft.files["data_02.csv"] = draft.rng.choice([b"", b"\n", b" \r\n\t\n", b"\xef\xbb\xbf"])
    draft.error = ("empty file data_02.csv",)


def file_of_zero_bytes(draft: Draft) -> None:
    """A file whose blocks were never written, all zero: refused."""
    _sound(draft, "data_01.csv").save()
    draft.files["data_02.csv"] = bytes(draft.rng.randrange(1, 200_000))
    draft.error = ("data_02.csv", "NUL")


def header_without_rows(draft: Draft) -> None:
    """A file with a header and nothing else, beside a full one: read as no rows."""
    _sound(draft, "data_01.csv").save()
    sheet = draft.sheet("data_02.csv")
    sheet.save(sheet.encoded() if draft.rng.random() < 0.5 else sheet.encoded().rstrip())


def blank_first_line(draft: Draft) -> None:
    """A blank line above the header: refused."""
    sheet = _sound(draft)
    sheet.save(b"\n" + sheet.encoded())
    draft.error = ("blank first line in data_01.csv",)


def nul_in_a_row(draft: Draft) -> None:
    """NUL bytes in codes, dates, amounts and names: those rows go."""
    sheet = draft.sheet()
    cells = ("partner", "store", "day", "amount", "activity", "store_name", "type")
    sheet.among(40, *[partial(sheet.lose, UNREADABLE, **{cell: "1\x002"}) for cell in cells])
    sheet.save()


def nul_far_into_a_file(draft: Draft) -> None:
    """A NUL byte beyond the first megabyte: that row goes."""
    sheet = draft.sheet()
    sheet.use_all(draft.sales(3000, store_name="x" * 400))
    sheet.lose(UNREADABLE, store="0\x001")
    sheet.use_all(draft.sales(draft.rng.randrange(30)))
    sheet.save()


def zeros_at_the_end(draft: Draft) -> None:
    """The last blocks of a file were never written: one unreadable line of zero bytes."""
    sheet = _sound(draft)
    sheet.lose(UNREADABLE, bytes(draft.rng.randrange(1, 100_000)).decode())
    sheet.save(sheet.encoded()[:-1])


def cut_within_a_row(draft: Draft) -> None:
    """A plain file that was not copied to its end: the row that is cut goes."""
    sheet = _sound(draft)
    sheet.lose(UNREADABLE, draft.rng.choice(["A", "A,001,2018", "A,001,2018-01-05,1.25,N1,Acc"]))
    sheet.save(sheet.encoded()[:-1])


def control_characters(draft: Draft) -> None:
    """A unit separator, which nobody types, in a name: that row goes."""
    sheet = draft.sheet()
    sheet.among(40, *[partial(sheet.lose, UNREADABLE, store_name="a\x1fb")] * 2)
    sheet.save()


KINDS = (
    gzip_file,
    gzip_of_several_members,
    gzip_with_zeros_behind,
    gzip_cut_short,
    gzip_with_a_flipped_bit,
    text_named_gz,
    archive_named_csv,
    random_bytes,
    empty_file,
    file_of_zero_bytes,
    header_without_rows,
    blank_first_line,
    nul_in_a_row,
    nul_far_into_a_file,
    zeros_at_the_end,
    cut_within_a_row,
    control_characters,
)
