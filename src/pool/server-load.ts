import type { ServerId } from '../lib/ids.ts';

/** How much of us one server carries. Plain numbers: the hot path adds to them. */
export class ServerLoad {
  readonly id: ServerId;
  /** Logged-in connections of clients' sessions. */
  connections = 0;
  /** Connections being opened: they count as load, or a burst of sessions would all go one way. */
  connecting = 0;
  /** Commands sent whose reply has not ended. */
  inFlight = 0;

  constructor(id: ServerId) {
    this.id = id;
  }

  /**
   * Expected work: what runs now counts most, and a session that stays counts as half a statement,
   * since where it is it will send the next one.
   */
  get work(): number {
    return this.inFlight + (this.connections + this.connecting) / 2;
  }
}
