import type { ServerId } from '../lib/ids.ts';

/** How much of us one server carries. Plain numbers: the hot path adds to them. */
export class ServerLoad {
  readonly id: ServerId;
  /** Logged-in connections. */
  connections = 0;
  /** Connections being opened. */
  connecting = 0;
  /** Commands sent whose reply has not ended. */
  inFlight = 0;
  /** Statements that wait for a connection. */
  waiting = 0;
  /** Sessions whose reads come here. */
  readers = 0;

  constructor(id: ServerId) {
    this.id = id;
  }

  /**
   * Expected work: what runs now counts most, and a session that reads here counts as half a
   * statement, since where it is it will send the next one.
   */
  get work(): number {
    return this.inFlight + this.waiting + this.readers / 2;
  }
}
