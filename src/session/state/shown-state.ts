import {
  decodeSessionState,
  encodeSessionState,
  type SessionStateEntry,
} from '../../wire/packets/session-state.ts';

/** What `session_track_system_variables` names on servers that nobody has configured. */
const TRACKED_BY_DEFAULT: ReadonlySet<string> = new Set([
  'autocommit',
  'character_set_client',
  'character_set_connection',
  'character_set_results',
  'time_zone',
]);

/**
 * The session state that a client which asked for it is shown: what servers tell unless they were
 * told otherwise. The proxy has more trackers on, for itself.
 * @returns null where nothing is left of it
 */
export function shownState(sessionState: Buffer): Buffer | null {
  const shown = decodeSessionState(sessionState).filter(isShown);
  return shown.length === 0 ? null : encodeSessionState(shown);
}

function isShown(entry: SessionStateEntry): boolean {
  switch (entry.t) {
    case 'system-variable':
      return TRACKED_BY_DEFAULT.has(entry.name);
    case 'schema':
      return true;
    case 'state-change':
    case 'gtids':
    case 'transaction-characteristics':
    case 'transaction-state':
    case 'other':
      return false;
  }
}

/** What the OK of a login tells such a client, null for nothing. */
export const stateAtLogin = (schema: string | null): Buffer | null =>
  schema === null ? null : encodeSessionState([{ t: 'schema', schema }]);
