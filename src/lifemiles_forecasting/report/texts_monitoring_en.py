"""The words of the monitoring report in English."""

TEXTS = {
    "mon_title": "Forecast against actual",
    "mon_subtitle": "{days} days: {first} to {last}",
    "mon_sec_stores": "Stores to train anew",
    "mon_sec_weeks": "By week ahead",
    "mon_sec_partners": "By partner",
    "mon_card_retrain": "Stores to train anew",
    "mon_card_drifted": "{drifted} of {judged} judged stores have drifted",
    "mon_card_wape": "Error (WAPE)",
    "mon_card_naive": "repeating the last known week: {naive}; better by {skill}",
    "mon_card_tested": "Store-days measured",
    "mon_card_runs": "stores: {stores}; runs: {runs}; forecasts of days to come: {untested}",
    "mon_note": "One forecast counts per store-day: the one made on the day before the period, or "
    "as near to it as there is. So these figures compare with those of the backtest.",
    "mon_cut": "There are older runs that were not looked at (monitoring.max_runs).",
    "mon_stand_ins": "No model that was in charge has forecast these days: the forecasts are "
    "of models that were not.",
    "mon_left_out": "{n} runs could not be read; the log says which and why.",
    "mon_none": "None of the judged stores has drifted.",
    "mon_none_judged": "No store could be judged yet: it takes {days} days with forecasts.",
    "mon_stores_note": "A store has drifted when it errs, or is off to one side, by more than "
    "nearly every window of the backtest (monitoring.drift_percentile). A few stores are listed "
    "even when nothing has changed. Levels are means per day, before the period over 56 days.",
    "mon_totals_note": "The bands hold if stores err independently of each other. The 80 % band "
    "held the total on {held} of {days} days.",
    "mon_total_axis": "All stores",
    "mon_action": "To do",
    "mon_train": "train",
    "mon_watch": "watch",
    "mon_reasons": "Why",
    "mon_before": "Daily level before",
    "mon_now": "Daily level now",
    "mon_days": "Days",
    "mon_error_times": "error {times} times its backtest",
    "mon_error_any": "error above the limit of all stores",
    "mon_sells_more": "sells more than forecast",
    "mon_sells_less": "sells less than forecast",
    "mon_week": "Week ahead",
    "mon_forecasts": "Forecasts",
    "mon_weeks_note": "Every forecast of each day counts here.",
}
