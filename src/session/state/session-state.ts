import {
  afterReset,
  charsetOfNames,
  isCharsetVariable,
  NAMES,
  type ReportedCharsets,
  withReported,
} from '../../pool/charsets.ts';
import { StateProfile } from '../../pool/state-profile.ts';
import type { Flavor } from '../../topology/snapshot.ts';
import { STATUS } from '../../wire/status.ts';
import { decodeSessionState } from '../../wire/packets/session-state.ts';
import { type PinCounter, Pins } from './pins.ts';

/** What an OK packet said of the session. */
export interface ReportedState {
  /** The connection's charset was set, and with it a collation that was not reported. */
  readonly collationUnknown: boolean;
  /** Something changed that no tracker names; pins if the text does not explain it. */
  readonly opaqueChange: boolean;
  /** Something was reported, and something changed: there may be more than was reported. */
  readonly mayHideMore: boolean;
  /** The session's isolation level or read-only default was set, not that of one transaction. */
  readonly transactionDefaults: boolean;
  /** GTIDs of what was committed (MariaDB: the last of them); null for nothing. */
  readonly gtids: string | null;
}

/** Schemas some or all of whose tables each server fills by itself. */
const SERVER_SCHEMAS = new Set(['information_schema', 'mysql', 'performance_schema', 'sys']);
export const isServerSchema = (schema: string | null): boolean =>
  schema !== null && SERVER_SCHEMAS.has(schema.toLowerCase());

/** A session's state as the server gave it at login. */
export interface LoginState {
  readonly schema: string | null;
  /** Status flags. */
  readonly status: number;
  /** Empty where it is not known. */
  readonly sqlMode: string;
  /** The variables that the login chose: character set and collation. */
  readonly variables: ReadonlyMap<string, string>;
  readonly flavor: Flavor;
  /** CLIENT_MULTI_STATEMENTS. */
  readonly multiStatements: boolean;
}

/**
 * What is known of a session's state on the servers: what can be carried over to another server
 * (schema, system variables) and what cannot (pins). The server's own word, in the OK packets, is
 * its source wherever the server speaks.
 */
export class SessionState {
  schema: string | null;
  /** Names without a schema may be tables that tell of the server that is asked. */
  inServerSchema: boolean;
  readonly pins: Pins;
  inTransaction = false;
  readOnlyTransaction = false;
  autocommit = true;
  noBackslashEscapes = false;
  ansiQuotes: boolean;
  /** IGNORE_SPACE is in sql_mode. */
  ignoreSpace: boolean;
  /** character_set_client as it was set, null while it is what the login chose. */
  clientCharset: string | null = null;
  /** COM_SET_OPTION changes it. */
  multiStatements: boolean;
  /** The client may have changed what its connection reports. */
  setsTrackers = false;
  /** What LAST_INSERT_ID() is, where no connection has it any more; null where it is 0. */
  savedInsertId: string | null = null;

  private readonly login: LoginState;
  /** System variables that the session has set, by name, as the server reports them. */
  variables: ReadonlyMap<string, string>;
  private carried: StateProfile | null = null;
  /** The variables that `isSerializable` is of: they are replaced where they change. */
  private isolationIn: ReadonlyMap<string, string> | null = null;
  private isSerializable = false;

  constructor(login: LoginState, pinCounter: PinCounter) {
    this.pins = new Pins(pinCounter);
    this.schema = login.schema;
    this.inServerSchema = isServerSchema(login.schema);
    this.login = login;
    this.variables = login.variables;
    this.multiStatements = login.multiStatements;
    this.ansiQuotes = login.sqlMode.includes('ANSI_QUOTES');
    this.ignoreSpace = login.sqlMode.includes('IGNORE_SPACE');
    this.clientCharset = charsetIn(login.variables);
    this.noteStatus(login.status);
  }

  /** What a connection must be brought to before it runs a statement of the session. */
  get profile(): StateProfile {
    this.carried ??= StateProfile.of(this);
    return this.carried;
  }

  /**
   * Whether a reset makes a connection of the session good for others. It keeps the schema, which is
   * not known where the client has turned its reports off.
   */
  get mayReset(): boolean {
    return this.pins.mayReset && !this.setsTrackers;
  }

  /** Status flags for an answer that the proxy makes itself. */
  get status(): number {
    return (
      (this.autocommit ? STATUS.AUTOCOMMIT : 0) |
      (this.inTransaction ? STATUS.IN_TRANS : 0) |
      (this.noBackslashEscapes ? STATUS.NO_BACKSLASH_ESCAPES : 0) |
      (this.ansiQuotes && this.login.flavor === 'mariadb' ? STATUS.ANSI_QUOTES : 0)
    );
  }

  /** Asked for each read. */
  get serializable(): boolean {
    if (this.variables !== this.isolationIn) {
      this.isolationIn = this.variables;
      this.isSerializable = isSerializable(this.variables);
    }
    return this.isSerializable;
  }

  /** Takes the status flags of an OK or EOF packet. */
  noteStatus(status: number): void {
    this.inTransaction = (status & STATUS.IN_TRANS) !== 0;
    this.readOnlyTransaction = (status & STATUS.IN_TRANS_READONLY) !== 0;
    this.autocommit = (status & STATUS.AUTOCOMMIT) !== 0;
    this.noBackslashEscapes = (status & STATUS.NO_BACKSLASH_ESCAPES) !== 0;
  }

  /**
   * Takes the session state of an OK packet.
   * @param locksForItself how long locks are waited for holds for that statement only: MariaDB
   *   reports what NOWAIT and WAIT set while it runs, and not that it is set back
   */
  noteReported(sessionState: Buffer, locksForItself = false): ReportedState {
    let opaqueChange = false;
    let explained = false;
    const charsets = new Map<string, string>();
    let transactionDefaults = false;
    let gtids: string | null = null;
    for (const entry of decodeSessionState(sessionState)) {
      switch (entry.t) {
        case 'system-variable':
          explained = true;
          if (entry.name === 'last_gtid') gtids = entry.value;
          else if (locksForItself && LOCK_TIMEOUTS.has(entry.name)) break;
          else if (isCharsetVariable(entry.name)) charsets.set(entry.name, entry.value);
          else this.setVariable(entry.name, entry.value);
          transactionDefaults ||= TRANSACTION_DEFAULTS.has(entry.name);
          break;
        case 'schema':
          explained = true;
          this.setSchema(entry.schema === '' ? null : entry.schema);
          break;
        case 'state-change':
          opaqueChange = entry.changed;
          break;
        case 'gtids':
          gtids = entry.gtids;
          break;
        case 'transaction-characteristics':
        case 'transaction-state':
        case 'other':
          break;
      }
    }
    const collationUnknown = charsets.size > 0 && this.setCharsets(charsets);
    return {
      opaqueChange: opaqueChange && !explained,
      mayHideMore: opaqueChange && explained,
      collationUnknown,
      transactionDefaults,
      gtids: gtids === '' ? null : gtids,
    };
  }

  /** COM_SET_OPTION succeeded. */
  setMultiStatements(on: boolean): void {
    this.multiStatements = on;
    this.carried = null;
  }

  setSchema(schema: string | null): void {
    if (this.schema === schema) return;
    this.schema = schema;
    this.inServerSchema = isServerSchema(schema);
    this.carried = null;
  }

  /** After COM_RESET_CONNECTION: all but identity and schema is as after login. */
  reset(): void {
    this.variables = afterReset(this.login.variables, this.login.flavor);
    this.pins.clearAll();
    this.setsTrackers = false;
    this.savedInsertId = null;
    this.carried = null;
    const { sqlMode, variables, flavor } = this.login;
    this.ansiQuotes = sqlMode.includes('ANSI_QUOTES');
    // MariaDB forgets that the login asked for it.
    const isForgotten = flavor === 'mariadb' && variables.has('sql_mode');
    this.ignoreSpace = sqlMode.includes('IGNORE_SPACE') && !isForgotten;
    this.clientCharset = charsetIn(this.variables);
    this.noteStatus(this.login.status);
  }

  private setVariable(name: string, value: string): void {
    // The clock of a session stands still where it was set, or runs where it was set to DEFAULT:
    // the report is the same.
    if (name === 'timestamp') this.pins.set('opaque');
    // `id IS NULL` finds the row that was inserted last by this connection.
    if (name === 'sql_auto_is_null' && value === 'ON') this.pins.set('opaque');
    if (UNCARRIED.has(name)) return;
    if (name === 'sql_mode') {
      this.ansiQuotes = value.includes('ANSI_QUOTES');
      this.ignoreSpace = value.includes('IGNORE_SPACE');
    }
    if (this.variables.get(name) === value) return;
    this.variables = new Map(this.variables).set(name, value);
    this.carried = null;
  }

  /** Returns whether a collation was set that the report does not tell. */
  private setCharsets(reported: ReportedCharsets): boolean {
    const { variables, collationUnknown } = withReported(this.variables, reported);
    this.variables = variables;
    this.clientCharset = reported.get('character_set_client') ?? this.clientCharset;
    this.carried = null;
    return collationUnknown;
  }

  /** Servers do not take these variables from the proxy: they have their defaults again. */
  dropVariables(names: readonly string[]): void {
    const variables = new Map(this.variables);
    for (const name of names) variables.delete(name);
    this.variables = variables;
    this.carried = null;
  }
}

function isSerializable(variables: ReadonlyMap<string, string>): boolean {
  const level = variables.get('transaction_isolation') ?? variables.get('tx_isolation') ?? '';
  return level.startsWith('SERIALIZABLE');
}

/** character_set_client of a session, null where it is the server's default. */
function charsetIn(variables: ReadonlyMap<string, string>): string | null {
  const names = variables.get(NAMES);
  return variables.get('character_set_client') ?? (names && charsetOfNames(names)) ?? null;
}

/** Reported, but the proxy's own, or following from something else that is carried. */
const UNCARRIED: ReadonlySet<string> = new Set([
  'session_track_system_variables',
  'session_track_schema',
  'session_track_state_change',
  'last_gtid',
  'character_set_database',
  'collation_database',
  'statement_id',
  // For the next statement only, or written and never read: carried over they would strike again.
  'insert_id',
  'gtid_seq_no',
  'last_insert_id',
  'pseudo_thread_id',
  'rand_seed1',
  'rand_seed2',
  'timestamp',
  'warning_count',
  'error_count',
]);

const LOCK_TIMEOUTS: ReadonlySet<string> = new Set([
  'innodb_lock_wait_timeout',
  'lock_wait_timeout',
]);

const TRANSACTION_DEFAULTS: ReadonlySet<string> = new Set([
  'transaction_isolation',
  'transaction_read_only',
  'tx_isolation',
  'tx_read_only',
]);
