"""Messages, and the way back from a worker process."""

import pickle

import pytest

from lifemiles_forecasting.core.errors import (
    ConfigError,
    ForecastingError,
    InputError,
    TrackingError,
)


@pytest.mark.parametrize("kind", [ForecastingError, InputError, ConfigError, TrackingError])
def test_message_and_pickle(kind):
    error = kind("a pear", "an apple", "Look again.")
    assert str(error) == "found a pear; expected an apple. Look again."
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert (back.found, back.expected, back.hint) == ("a pear", "an apple", "Look again.")
    assert str(back) == str(error)


def test_message_holds_no_escape_sequence_of_what_it_quotes():
    error = InputError("a \x1b[31mred\x9b0m\r pear\x07", "an\u202eapple", "Look\n\tagain, señor.")
    assert str(error) == ("found a ?[31mred?0m? pear?; expected an?apple. Look\n again, señor.")
    assert (error.found, error.hint) == ("a ?[31mred?0m? pear?", "Look\n again, señor.")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_message_without_a_hint():
    assert str(InputError("a pear", "an apple")) == "found a pear; expected an apple"
