"""The words of the monitoring report in Spanish."""

TEXTS = {
    "mon_title": "Pronóstico contra lo real",
    "mon_subtitle": "{days} días: del {first} al {last}",
    "mon_sec_stores": "Tiendas por reentrenar",
    "mon_sec_weeks": "Por semana de anticipación",
    "mon_sec_partners": "Por aliado",
    "mon_card_retrain": "Tiendas por reentrenar",
    "mon_card_drifted": "{drifted} de {judged} tiendas evaluadas se desviaron",
    "mon_card_wape": "Error (WAPE)",
    "mon_card_naive": "repetir la última semana conocida: {naive}; mejora {skill}",
    "mon_card_tested": "Días-tienda medidos",
    "mon_card_runs": "tiendas: {stores}; ejecuciones: {runs}; pronósticos de días por venir: "
    "{untested}",
    "mon_note": "Cuenta un pronóstico por día-tienda: el del día anterior al período o el más "
    "cercano que haya. Así estas cifras se comparan con las de la prueba retrospectiva.",
    "mon_cut": "Hay ejecuciones más antiguas que no se miraron (monitoring.max_runs).",
    "mon_stand_ins": "Ningún modelo que haya estado a cargo pronosticó estos días: los "
    "pronósticos son de modelos que no lo estuvieron.",
    "mon_left_out": "{n} ejecuciones no se pudieron leer; el registro dice cuáles y por qué.",
    "mon_none": "Ninguna de las tiendas evaluadas se desvió.",
    "mon_none_judged": "Todavía no se pudo evaluar ninguna tienda: hacen falta {days} días con "
    "pronósticos.",
    "mon_stores_note": "Una tienda se desvió cuando falla, o se va hacia un lado, más que en casi "
    "todas las ventanas de la prueba retrospectiva (monitoring.drift_percentile). Unas pocas "
    "aparecen aunque nada haya cambiado. Los niveles son medias por día; la anterior, de 56 días.",
    "mon_totals_note": "Las bandas valen si las tiendas fallan cada una por su lado. La de 80 % "
    "contuvo el total en {held} de {days} días.",
    "mon_total_axis": "Todas las tiendas",
    "mon_action": "Qué hacer",
    "mon_train": "reentrenar",
    "mon_watch": "observar",
    "mon_reasons": "Por qué",
    "mon_before": "Nivel diario antes",
    "mon_now": "Nivel diario ahora",
    "mon_days": "Días",
    "mon_error_times": "error {times} veces el de su prueba retrospectiva",
    "mon_error_any": "error sobre el límite de todas las tiendas",
    "mon_sells_more": "vende más de lo pronosticado",
    "mon_sells_less": "vende menos de lo pronosticado",
    "mon_week": "Semana",
    "mon_forecasts": "Pronósticos",
    "mon_weeks_note": "Aquí cuentan todos los pronósticos de cada día.",
}
