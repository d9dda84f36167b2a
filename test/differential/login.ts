import * as cachingSha2 from '../../src/auth/caching-sha2.ts';
import * as nativePassword from '../../src/auth/native-password.ts';
import { CAP, common, union } from '../../src/wire/capability.ts';
import { AUTH_MORE_DATA } from '../../src/wire/packets/auth-more-data.ts';
import {
  AUTH_SWITCH,
  decodeAuthSwitchRequest,
} from '../../src/wire/packets/auth-switch-request.ts';
import { decodeErr, ERR } from '../../src/wire/packets/err.ts';
import { encodeHandshakeResponse } from '../../src/wire/packets/handshake-response.ts';
import { decodeHandshakeV10 } from '../../src/wire/packets/handshake-v10.ts';
import { OK } from '../../src/wire/packets/ok.ts';
import { frame } from '../../src/wire/writer.ts';
import type { PacketPipe } from '../support/packet-pipe.ts';
import type { ClientFlag } from './script.ts';

/** What every client of a script can do. */
const BASE_CAPS = union(
  CAP.LONG_PASSWORD,
  CAP.LONG_FLAG,
  CAP.LOCAL_FILES,
  CAP.PROTOCOL_41,
  CAP.TRANSACTIONS,
  CAP.SECURE_CONNECTION,
  CAP.MULTI_RESULTS,
  CAP.PS_MULTI_RESULTS,
  CAP.PLUGIN_AUTH,
  CAP.PLUGIN_AUTH_LENENC_DATA,
);

const FLAG_CAPS: Readonly<Record<ClientFlag, number>> = {
  'old-eof': 0,
  'found-rows': CAP.FOUND_ROWS,
  'multi-statements': CAP.MULTI_STATEMENTS,
  'session-track': CAP.SESSION_TRACK,
  'ignore-space': CAP.IGNORE_SPACE,
};

/** Capabilities to log in with. */
function capsOf(flags: readonly ClientFlag[]): number {
  return union(
    BASE_CAPS,
    flags.includes('old-eof') ? 0 : CAP.DEPRECATE_EOF,
    ...flags.map((flag) => FLAG_CAPS[flag]),
  );
}

/** Who logs in, and how. */
export interface Login {
  readonly user: string;
  readonly password: string;
  readonly schema: string | null;
  readonly collation: number;
  readonly flags: readonly ClientFlag[];
}

/** Logs in on a fresh connection without TLS; returns the caps in force and the last packet. */
export async function logIn(
  pipe: PacketPipe,
  login: Login,
): Promise<{ caps: number; end: Buffer }> {
  const first = await pipe.read();
  if (first.payload[0] === ERR) throw new Error(`Refused: ${decodeErr(first.payload).message}`);
  const greeting = decodeHandshakeV10(first.payload);
  const wanted = union(capsOf(login.flags), login.schema === null ? 0 : CAP.CONNECT_WITH_DB);
  const password = Buffer.from(login.password);
  pipe.write(
    encodeHandshakeResponse(
      {
        caps: wanted,
        extendedCaps: 0,
        maxPacketBytes: 1 << 30,
        collationId: login.collation,
        user: login.user,
        authResponse: answer(greeting.pluginName, password, greeting.nonce),
        database: login.schema,
        pluginName: greeting.pluginName,
        attributes: null,
        zstdLevel: null,
      },
      1,
    ),
  );
  const end = await authenticate(pipe, password, greeting.nonce);
  return { caps: common(wanted, greeting.caps), end };
}

/** Goes on until the server says OK or ERR; returns that packet. */
export async function authenticate(
  pipe: PacketPipe,
  password: Buffer,
  firstNonce: Buffer,
): Promise<Buffer> {
  let nonce = firstNonce;
  for (;;) {
    const { payload, seq } = await pipe.read();
    if (payload[0] === OK || payload[0] === ERR) return payload;
    if (payload[0] === AUTH_SWITCH) {
      const request = decodeAuthSwitchRequest(payload);
      nonce = request.nonce;
      pipe.write(frame(answer(request.pluginName, password, nonce), seq + 1));
    } else if (payload[0] !== AUTH_MORE_DATA) {
      throw new Error(`Unexpected packet at login: ${payload.toString('hex')}`);
    } else if (payload[1] === cachingSha2.FULL_AUTH_NEEDED) {
      pipe.write(frame(Buffer.from([cachingSha2.REQUEST_PUBLIC_KEY]), seq + 1));
      const key = await pipe.read();
      const sealed = cachingSha2.rsaEncryptPassword(password, nonce, key.payload.subarray(1));
      pipe.write(frame(sealed, key.seq + 1));
    }
  }
}

function answer(plugin: string, password: Buffer, nonce: Buffer): Buffer {
  return plugin === 'mysql_native_password'
    ? nativePassword.scramble(password, nonce)
    : cachingSha2.scramble(password, nonce);
}
