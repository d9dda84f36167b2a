import { Interned } from '../lib/interned.ts';

/** What of a session's state can be carried from one server connection to another. */
export interface CarriedState {
  /** Default schema, null for none. */
  readonly schema: string | null;
  /**
   * System variables that differ from what COM_RESET_CONNECTION leaves, by name, as the server
   * reports them. One that is not listed has its server's default.
   */
  readonly variables: ReadonlyMap<string, string>;
  /** Several statements in one COM_QUERY are allowed. */
  readonly multiStatements: boolean;
}

/**
 * A session's carried state as an immutable value. Equal states are the same object, so whether a
 * connection fits a session is one comparison.
 */
export class StateProfile implements CarriedState {
  readonly id: number;
  readonly schema: string | null;
  readonly variables: ReadonlyMap<string, string>;
  readonly multiStatements: boolean;

  private constructor(id: number, state: CarriedState) {
    this.id = id;
    this.schema = state.schema;
    this.variables = state.variables;
    this.multiStatements = state.multiStatements;
  }

  /** The one profile that equals `state`. Off the hot path: it sorts and joins. */
  static of(state: CarriedState): StateProfile {
    const variables = [...state.variables].sort(([a], [b]) => (a < b ? -1 : 1));
    const key = JSON.stringify([state.schema, state.multiStatements, variables]);
    return profiles.get(key, () => {
      lastId += 1;
      return new StateProfile(lastId, { ...state, variables: new Map(variables) });
    });
  }

  /**
   * Whether a connection in state `from` can be brought to this one. No command takes a default
   * schema away again.
   */
  isReachableFrom(from: StateProfile): boolean {
    return this.schema !== null || from.schema === null;
  }
}

const profiles = new Interned<StateProfile>();
let lastId = 0;
