/**
 * System variables whose changes MySQL is asked to report: those that applications and drivers set
 * for their sessions. Not `*`, which would add `statement_id` to the answer of each statement and
 * so cost every read a look at its last packet. A variable that is not listed is not lost: the
 * server still reports that something changed, and the session is pinned to that server.
 */
const MYSQL_VARIABLES = [
  'auto_increment_increment',
  'auto_increment_offset',
  'autocommit',
  'big_tables',
  'block_encryption_mode',
  'character_set_client',
  'character_set_connection',
  'character_set_results',
  'character_set_server',
  'collation_connection',
  'collation_server',
  'completion_type',
  'cte_max_recursion_depth',
  'default_collation_for_utf8mb4',
  'default_storage_engine',
  'default_tmp_storage_engine',
  'default_week_format',
  'div_precision_increment',
  'end_markers_in_json',
  'eq_range_index_dive_limit',
  'explain_format',
  'explicit_defaults_for_timestamp',
  'foreign_key_checks',
  'group_concat_max_len',
  'information_schema_stats_expiry',
  'innodb_lock_wait_timeout',
  'innodb_strict_mode',
  'interactive_timeout',
  'internal_tmp_mem_storage_engine',
  'join_buffer_size',
  'lc_messages',
  'lc_time_names',
  'lock_wait_timeout',
  'long_query_time',
  'max_error_count',
  'max_execution_time',
  'max_heap_table_size',
  'max_join_size',
  'max_length_for_sort_data',
  'max_points_in_geometry',
  'max_seeks_for_key',
  'max_sort_length',
  'max_sp_recursion_depth',
  'min_examined_row_limit',
  'net_read_timeout',
  'net_write_timeout',
  'old_alter_table',
  'optimizer_prune_level',
  'optimizer_search_depth',
  'optimizer_switch',
  'print_identified_with_as_hex',
  'profiling',
  'range_optimizer_max_mem_size',
  'read_buffer_size',
  'read_rnd_buffer_size',
  'show_create_table_skip_secondary_engine',
  'show_create_table_verbosity',
  'sort_buffer_size',
  'sql_auto_is_null',
  'sql_big_selects',
  'sql_buffer_result',
  'sql_generate_invisible_primary_key',
  'sql_mode',
  'sql_notes',
  'sql_quote_show_create',
  'sql_require_primary_key',
  'sql_safe_updates',
  'sql_select_limit',
  'sql_warnings',
  'time_zone',
  'tmp_table_size',
  'transaction_isolation',
  'transaction_read_only',
  // The two names of it before 8.0; a server ignores names that it does not know.
  'tx_isolation',
  'tx_read_only',
  'unique_checks',
  'updatable_views_with_limit',
  'wait_timeout',
  'windowing_use_high_precision',
];

/** Assigned, and so reported: how strings and names are quoted depends on it. */
const TELL = 'sql_mode=@@SESSION.sql_mode';

const LISTED: ReadonlySet<string> = new Set(MYSQL_VARIABLES);

/** Whether MySQL reports what a variable (in lower case) is set to, and so it can be carried. */
export function isReported(name: string): boolean {
  return LISTED.has(name);
}

/** Turns on the trackers that this proxy reads, and off those that would only cost. */
const MYSQL = `SET SESSION session_track_system_variables='${MYSQL_VARIABLES.join(',')}', session_track_schema=1, session_track_state_change=1, session_track_transaction_info='OFF', session_track_gtids='OWN_GTID', ${TELL}`;

/** MariaDB refuses unknown names, and its `*` adds nothing to what did not change. */
const MARIADB = `SET SESSION session_track_system_variables='*', session_track_schema=1, session_track_state_change=1, ${TELL}`;

/** The statement that each new connection to a server begins with. */
export const TRACKER_STATEMENTS = { mysql: MYSQL, mariadb: MARIADB } as const;
