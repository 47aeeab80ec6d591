"""Words and functions of SQL by what they mean to whoever keeps results."""

from __future__ import annotations

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MOMENTS: Final = _words("now today yesterday tomorrow allballs")
"""Texts that databases read as the time that it is."""

PURE: Final = _words(
    "abs array_agg array_length array_position avg bit_and bit_or bool_and bool_or btrim cast ceil ceiling char_length "
    "character_length coalesce concat concat_ws convert cosh count cume_dist date date_format date_part date_trunc "
    "datetime dense_rank div every exp extract first_value floor format group_concat greatest hex ifnull iif initcap "
    "instr json_agg json_array json_array_length json_arrayagg json_build_object json_extract json_extract_path_text "
    "json_group_array json_group_object json_object json_object_agg json_objectagg json_type json_unquote json_value "
    "jsonb_agg jsonb_array_elements jsonb_array_length jsonb_build_object jsonb_extract_path_text jsonb_object_agg "
    "julianday lag last_value lcase lead least left length ln log lower lpad ltrim max md5 mid min mod month nth_value "
    "ntile nullif octet_length overlay percent_rank percentile_cont percentile_disc position pow power quote rank "
    "regexp_replace repeat replace reverse right round row row_number rpad rtrim sign split_part sqrt stddev "
    "stddev_pop stddev_samp str_to_date strftime string_agg strpos substr substring sum to_char to_date to_json "
    "to_jsonb to_number to_timestamp to_tsquery to_tsvector total translate trim trunc truncate ts_rank typeof ucase "
    "time timestamp unicode unnest upper var_pop var_samp variance year day hour minute second"
)
NOT_TWICE: Final = _words(
    "age changes clock_timestamp connection_id curdate current_database current_date current_role current_schema "
    "current_setting current_time current_timestamp current_user curtime database found_rows gen_random_uuid "
    "last_insert_id last_insert_rowid localtime localtimestamp now pg_sleep rand random randomblob session_user "
    "statement_timestamp sysdate timeofday total_changes transaction_timestamp txid_current unix_timestamp user "
    "utc_date utc_time utc_timestamp uuid uuid_generate_v4 version"
)
"""Functions and words that answer differently each time, or by who asks; they change no table."""

TAKES_PARENTHESES: Final = _words(
    "and or not in any all some exists between like ilike is as on using by when then else case end select distinct "
    "from where having group order limit offset union intersect except values over partition filter within array "
    "row with recursive materialized lateral only into set returning conflict key index join left right inner outer "
    "full cross natural escape collate check unique primary window range rows interval for if replace char varchar "
    "character varying decimal numeric float double precision real int integer bigint smallint tinyint text blob "
    "bit binary varbinary bool boolean json jsonb uuid default duplicate update columns fetch "
    "first next nulls top cube rollup sets grouping cast extract"
)
ENDS_FROM: Final = _words(
    "where group order having limit offset union intersect except window for set returning values fetch qualify"
)
HARMLESS_FIRST: Final = _words("begin start commit rollback savepoint release end abort show describe desc")
ASKING_PRAGMAS: Final = _words(
    "table_info table_xinfo table_list index_list index_info index_xinfo foreign_key_list database_list"
)
