import { LagwiseError, type ErrorSource } from '../lib/errors.ts';
import type { ErrPacket } from '../wire/packets/err.ts';

/** ER_ACCESS_DENIED_ERROR, ER_ACCESS_DENIED_NO_PASSWORD_ERROR, ER_MUST_CHANGE_PASSWORD_LOGIN … */
const ACCOUNT_ERRORS: ReadonlySet<number> = new Set([
  1044, 1045, 1130, 1203, 1226, 1251, 1396, 1698, 1820, 1862, 3118, 3159, 3955, 4151, 4055,
]);

/** A server answered a login with an error of its own: the client is to see just that. */
export class ServerRefusedError extends LagwiseError {
  /** Id of the server, for people and comparisons. */
  readonly server: string;
  readonly packet: ErrPacket;

  constructor(server: string, packet: ErrPacket) {
    const source: ErrorSource = ACCOUNT_ERRORS.has(packet.code)
      ? 'backend-auth'
      : 'backend-connect';
    super(source, `Server ${server} refused the connection: ${packet.code} ${packet.message}`);
    this.server = server;
    this.packet = packet;
  }

  /** The server knows the account and the password is wrong (or it does not know the account). */
  get isWrongPassword(): boolean {
    return this.packet.code === 1045 || this.packet.code === 1698;
  }
}
