"""What lies beside the files that are read."""

from lifemiles_forecasting.core import unread
from lifemiles_forecasting.report.texts import TEXTS


def test_few_names_and_the_number_of_the_others():
    names = [f"{k}.txt" for k in range(1_205)]
    (notice,) = unread.notices(names)
    assert notice.subject == "0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 1,200 more"
    assert unread.notices([]) == []


def test_warning_has_words_in_both_languages():
    for texts in TEXTS.values():
        assert {f"stage_{unread.STAGE}", f"warning_{unread.WARNING}"} <= set(texts)
