import type { ClassifyContext } from '../../sql/classification.ts';
import { TOKEN_VARIABLE } from '../../sql/lagwise-names.ts';
import {
  type LagwiseSetting,
  parseLagwiseSelect,
  parseLagwiseSetting,
} from '../../sql/lagwise-setting.ts';
import { encodeErr, type ErrPacket } from '../../wire/packets/err.ts';
import { encodeOk } from '../../wire/packets/ok.ts';
import { encodeTextResultset } from '../../wire/text-resultset.ts';
import type { StatementPolicy } from './statement-policy.ts';
import type { TokenAccess } from '../reads/token.ts';

/** ER_WRONG_VALUE_FOR_VAR: what a server says to a SET that it does not take. */
const WRONG_VALUE = { code: 1231, sqlState: '42000' } as const;

/**
 * What PREPARE of a statement about `@lagwise_…` is answered with: ER_UNSUPPORTED_PS, on which
 * drivers that prepare everything send the text as it is.
 */
export const SETTING_NOT_PREPARED: ErrPacket = {
  code: 1295,
  sqlState: 'HY000',
  message: 'lagwise: Settings of @lagwise_ variables cannot be prepared: send them as text',
};

/**
 * The whole answer to a COM_QUERY of class `local` and reason `lagwise-setting`: OK or an error for
 * SET, which takes effect here, and a result for SELECT.
 */
export async function settingAnswer(question: {
  readonly policy: StatementPolicy;
  /** Header included. */
  readonly packet: Buffer;
  /** Where its text begins. */
  readonly textAt: number;
  readonly context: ClassifyContext;
  /** Capabilities in force with the client. */
  readonly caps: number;
  /** Status flags for the answer. */
  readonly status: number;
  readonly token: TokenAccess;
}): Promise<Buffer> {
  const { policy, packet, textAt, context, caps, status, token } = question;
  const columns = parseLagwiseSelect(packet, textAt, packet.length, context);
  if (columns !== null) {
    const asksToken = columns.some(({ name }) => name === TOKEN_VARIABLE);
    const shown = asksToken ? await token.read() : null;
    const row = columns.map(({ name }) => (name === TOKEN_VARIABLE ? shown : policy.get(name)));
    const result = { columns: columns.map(({ title }) => title), rows: [row] };
    return encodeTextResultset(result, { seq: 1, caps, status });
  }
  const settings = parseLagwiseSetting(packet, textAt, packet.length, context);
  const problem = settings === null ? NOT_PLAIN : take(settings, policy, token);
  if (problem === null) return encodeOk({ status }, 1, { caps });
  return encodeErr({ ...WRONG_VALUE, message: `lagwise: ${problem}` }, 1);
}

/** All of it, or nothing if any of it is wrong. */
function take(
  settings: readonly LagwiseSetting[],
  policy: StatementPolicy,
  token: TokenAccess,
): string | null {
  const words = settings.filter(({ name }) => name !== TOKEN_VARIABLE);
  const brought = settings.findLast(({ name }) => name === TOKEN_VARIABLE);
  if (brought === undefined) return policy.set(words);
  return token.check(brought.value) ?? policy.set(words) ?? token.bring(brought.value);
}

const NOT_PLAIN = `Cannot set @lagwise_ variables but in a SET of them alone to plain words, strings and numbers, nor use @${TOKEN_VARIABLE} but there and in a SELECT of such variables alone`;
